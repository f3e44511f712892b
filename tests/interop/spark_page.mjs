// Plays an animated splat hand in three.js with Spark: bones drive the splats by SplatSkinning.
import * as THREE from "three";
import { SparkRenderer, SplatMesh, SplatSkinning, SplatSkinningMode } from "@sparkjsdev/spark";
import { loadHands, worldMatrices } from "./hand.mjs";

export async function sparkHand(hand, three) {
  const mesh = new SplatMesh({
    constructSplats: (splats) => {
      const center = new THREE.Vector3();
      const scales = new THREE.Vector3();
      const turn = new THREE.Quaternion();
      const color = new THREE.Color();
      for (let i = 0; i < hand.count; i++) {
        center.fromArray(hand.means, 3 * i);
        scales.fromArray(hand.scales, 3 * i);
        turn.fromArray(hand.quats, 4 * i);
        color.fromArray(hand.colors, 3 * i);
        splats.pushSplat(center, scales, turn, hand.opacities[i], color);
      }
    },
  });
  await mesh.initialized;
  const skinning = new SplatSkinning({ mesh, numBones: hand.bones.length, mode: SplatSkinningMode.DUAL_QUATERNION });
  const matrix = new THREE.Matrix4();
  // Spark 2.2 takes a bone's turn in its rest's axes; rests of nothing make it take the whole motion.
  const [place, turn, size] = [new THREE.Vector3(), new THREE.Quaternion(), new THREE.Vector3()];
  hand.bones.forEach((_, k) => skinning.setRestQuatPos(k, turn, place));
  const inverse = new THREE.Matrix4();
  const bones = new THREE.Vector4();
  const weights = new THREE.Vector4();
  for (let i = 0; i < hand.count; i++) {
    bones.fromArray(hand.joints[0], 4 * i);
    weights.fromArray(hand.weights[0], 4 * i);
    skinning.setSplatBones(i, bones, weights.divideScalar(weights.x + weights.y + weights.z + weights.w));
  }
  mesh.skinning = skinning;
  mesh.updateGenerator();
  three.add(mesh);
  return {
    move(world) {
      hand.bones.forEach((b, k) => {
        matrix.fromArray(world[b]).multiply(inverse.fromArray(hand.inverse, 16 * k));
        matrix.decompose(place, turn, size);
        skinning.setBoneQuatPos(k, turn, place);
      });
      skinning.updateBones();
      mesh.updateVersion();
    },
  };
}

window.show = async ({ url, view, background, times }) => {
  const canvas = document.querySelector("canvas");
  const renderer = new THREE.WebGLRenderer({ canvas, antialias: false, preserveDrawingBuffer: true });
  renderer.setSize(view.width, view.height, false);
  const scene = new THREE.Scene();
  scene.background = new THREE.Color().setRGB(...background, THREE.SRGBColorSpace);
  scene.add(new SparkRenderer({ renderer }));
  const camera = new THREE.PerspectiveCamera((view.fovY * 180) / Math.PI, view.width / view.height, 0.01, 100);
  camera.position.set(...view.position);
  camera.lookAt(...view.target);
  const loaded = await loadHands(url);
  const hands = [];
  for (const hand of loaded.hands) hands.push(await sparkHand(hand, scene));
  const frames = [];
  for (const time of times) {
    const world = worldMatrices(loaded, time);
    for (const hand of hands) hand.move(world);
    for (let k = 0; k < 8; k++) {
      renderer.render(scene, camera); // Spark sorts in a worker, a frame or two behind
      await new Promise((done) => setTimeout(done, 60));
    }
    renderer.render(scene, camera);
    frames.push({ picture: canvas.toDataURL("image/png") });
  }
  return { frames, splats: loaded.hands.reduce((n, h) => n + h.count, 0), duration: loaded.duration };
};
window.ready = true;
