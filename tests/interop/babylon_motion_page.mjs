// Plays an animated splat hand in Babylon.js: the splats are moved on the CPU, once a frame.
import { Engine } from "@babylonjs/core/Engines/engine.js";
import { Scene } from "@babylonjs/core/scene.js";
import { FreeCamera } from "@babylonjs/core/Cameras/freeCamera.js";
import { Vector3 } from "@babylonjs/core/Maths/math.vector.js";
import { Color4 } from "@babylonjs/core/Maths/math.color.js";
import { GaussianSplattingMesh } from "@babylonjs/core/Meshes/GaussianSplatting/gaussianSplattingMesh.js";
import "@babylonjs/core/Meshes/thinInstanceMesh.js";
import { loadHands, skinned } from "./hand.mjs";

// Babylon's own 32 bytes a splat: place, scale, RGBA, rotation wxyz in bytes about 128.
export function splatBytes(hands) {
  const count = hands.reduce((n, h) => n + h.hand.count, 0);
  const bytes = new Uint8Array(32 * count);
  const floats = new Float32Array(bytes.buffer);
  let row = 0;
  for (const { hand, moved } of hands) {
    for (let i = 0; i < hand.count; i++, row++) {
      for (let k = 0; k < 3; k++) {
        floats[8 * row + k] = moved.means[3 * i + k];
        floats[8 * row + 3 + k] = moved.scales[3 * i + k];
        bytes[32 * row + 24 + k] = Math.round(255 * hand.colors[3 * i + k]);
      }
      bytes[32 * row + 27] = Math.round(255 * hand.opacities[i]);
      const [x, y, z, w] = moved.quats.subarray(4 * i, 4 * i + 4);
      [w, x, y, z].forEach((v, k) => (bytes[32 * row + 28 + k] = Math.round(Math.min(Math.max(v * 128 + 128, 0), 255))));
    }
  }
  return bytes.buffer;
}

window.show = async ({ url, view, background, times }) => {
  const canvas = document.querySelector("canvas");
  canvas.width = view.width;
  canvas.height = view.height;
  const engine = new Engine(canvas, false, { preserveDrawingBuffer: true, antialias: false });
  const scene = new Scene(engine);
  scene.useRightHandedSystem = true;
  scene.clearColor = new Color4(...background, 1);
  const camera = new FreeCamera("camera", new Vector3(...view.position), scene);
  camera.setTarget(new Vector3(...view.target));
  camera.fov = view.fovY;
  camera.minZ = 0.01;
  camera.maxZ = 100;
  const loaded = await loadHands(url);
  const mesh = new GaussianSplattingMesh("hands", undefined, scene, true);
  const frames = [];
  for (const time of times) {
    const moved = loaded.hands.map((hand) => ({ hand, moved: skinned(loaded, hand, time) }));
    await mesh.updateDataAsync(splatBytes(moved));
    await scene.whenReadyAsync();
    for (let k = 0; k < 8; k++) {
      scene.render();
      await new Promise((done) => setTimeout(done, 60));
    }
    scene.render();
    frames.push({ picture: canvas.toDataURL("image/png") });
  }
  return { frames, splats: loaded.hands.reduce((n, h) => n + h.count, 0), duration: loaded.duration };
};
window.ready = true;
