// Plays an animated splat hand in PlayCanvas: the splats are moved on the CPU, once a frame.
import * as pc from "playcanvas";
import { loadHands, skinned } from "./hand.mjs";

const SH_C0 = 0.28209479177387814;
const NAMES = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"];

// The columns of a 3DGS PLY file: logarithms, logits, harmonics, rotations wxyz.
function splatData(hands) {
  const count = hands.reduce((n, h) => n + h.hand.count, 0);
  const columns = Object.fromEntries(NAMES.map((name) => [name, new Float32Array(count)]));
  let row = 0;
  for (const { hand, moved } of hands) {
    for (let i = 0; i < hand.count; i++, row++) {
      "xyz".split("").forEach((name, k) => (columns[name][row] = moved.means[3 * i + k]));
      for (let k = 0; k < 3; k++) {
        columns[`f_dc_${k}`][row] = (hand.colors[3 * i + k] - 0.5) / SH_C0;
        columns[`scale_${k}`][row] = Math.log(moved.scales[3 * i + k]);
      }
      const opacity = Math.min(Math.max(hand.opacities[i], 1e-6), 1 - 1e-6);
      columns.opacity[row] = Math.log(opacity / (1 - opacity));
      const [x, y, z, w] = moved.quats.subarray(4 * i, 4 * i + 4);
      [w, x, y, z].forEach((v, k) => (columns[`rot_${k}`][row] = v));
    }
  }
  const properties = NAMES.map((name) => ({ type: "float", name, storage: columns[name], byteSize: 4 }));
  return new pc.GSplatData([{ name: "vertex", count, properties }]);
}

window.show = async ({ url, view, background, times }) => {
  const canvas = document.querySelector("canvas");
  canvas.width = view.width;
  canvas.height = view.height;
  const app = new pc.Application(canvas, {
    graphicsDeviceOptions: { preserveDrawingBuffer: true, antialias: false, alpha: false },
  });
  app.setCanvasFillMode(pc.FILLMODE_NONE, view.width, view.height);
  app.setCanvasResolution(pc.RESOLUTION_FIXED, view.width, view.height);
  app.start();
  const camera = new pc.Entity("camera");
  camera.addComponent("camera", {
    clearColor: new pc.Color(...background),
    fov: (view.fovY * 180) / Math.PI,
    nearClip: 0.01,
    farClip: 100,
    toneMapping: pc.TONEMAP_NONE,
    gammaCorrection: pc.GAMMA_SRGB,
  });
  camera.setPosition(...view.position);
  camera.lookAt(...view.target);
  app.root.addChild(camera);
  const loaded = await loadHands(url);
  const entity = new pc.Entity("hands");
  app.root.addChild(entity);
  const frames = [];
  let made = 0;
  for (const time of times) {
    const moved = loaded.hands.map((hand) => ({ hand, moved: skinned(loaded, hand, time) }));
    const asset = new pc.Asset(`hands${made++}`, "gsplat", { url: "" });
    asset.resource = new pc.GSplatResource(app.graphicsDevice, splatData(moved));
    asset.loaded = true;
    app.assets.add(asset);
    entity.removeComponent("gsplat");
    entity.addComponent("gsplat", { asset });
    for (let k = 0; k < 10; k++) await new Promise((done) => setTimeout(done, 80));
    await new Promise((done) => app.once("frameend", done));
    frames.push({ picture: canvas.toDataURL("image/png") });
  }
  return { frames, splats: loaded.hands.reduce((n, h) => n + h.count, 0), duration: loaded.duration };
};
window.ready = true;
