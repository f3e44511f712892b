// Loads a .glb into three.js, sets its animation to a time, draws it and reports its vertices.
import * as THREE from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

window.show = async ({ url, view, background, times }) => {
  const canvas = document.querySelector("canvas");
  const renderer = new THREE.WebGLRenderer({ canvas, antialias: true, preserveDrawingBuffer: true });
  renderer.setSize(view.width, view.height, false);
  const scene = new THREE.Scene();
  scene.background = new THREE.Color().setRGB(...background, THREE.SRGBColorSpace);
  const camera = new THREE.PerspectiveCamera((view.fovY * 180) / Math.PI, view.width / view.height, 0.01, 100);
  camera.position.set(...view.position);
  camera.lookAt(...view.target);
  scene.add(new THREE.HemisphereLight(0xffffff, 0x9a8878, 1.6));
  const key = new THREE.DirectionalLight(0xffffff, 1.8);
  key.position.set(-0.5, 0.7, 1);
  scene.add(key);
  const gltf = await new GLTFLoader().loadAsync(url);
  scene.add(gltf.scene);
  const skinned = [];
  let points = 0;
  gltf.scene.traverse((node) => {
    if (node.isSkinnedMesh) skinned.push(node);
    if (node.isPoints) points += node.geometry.attributes.position.count;
    if (node.isSkinnedMesh) node.frustumCulled = false;
    if (node.isPoints) node.visible = false;
  });
  const mixer = new THREE.AnimationMixer(gltf.scene);
  for (const clip of gltf.animations) mixer.clipAction(clip).play();
  const frames = [];
  for (const time of times) {
    mixer.setTime(time);
    scene.updateMatrixWorld(true);
    renderer.render(scene, camera);
    const vertices = {};
    for (const mesh of skinned) {
      mesh.skeleton.update();
      const out = [];
      const v = new THREE.Vector3();
      for (let i = 0; i < mesh.geometry.attributes.position.count; i++) {
        mesh.getVertexPosition(i, v);
        v.applyMatrix4(mesh.matrixWorld);
        out.push(v.x, v.y, v.z);
      }
      vertices[mesh.name] = out;
    }
    frames.push({ picture: canvas.toDataURL("image/png"), vertices });
  }
  return { frames, points, bones: skinned.map((m) => m.skeleton.bones.length), clips: gltf.animations.length };
};
window.ready = true;
