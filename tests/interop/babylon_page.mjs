// Loads a .glb into Babylon.js with its KHR_gaussian_splatting loader and draws one frame.
import { Engine } from "@babylonjs/core/Engines/engine.js";
import { Scene } from "@babylonjs/core/scene.js";
import { FreeCamera } from "@babylonjs/core/Cameras/freeCamera.js";
import { Vector3 } from "@babylonjs/core/Maths/math.vector.js";
import { Color4 } from "@babylonjs/core/Maths/math.color.js";
import { HemisphericLight } from "@babylonjs/core/Lights/hemisphericLight.js";
import { ImportMeshAsync } from "@babylonjs/core/Loading/sceneLoader.js";
import "@babylonjs/core/Meshes/thinInstanceMesh.js";
import { registerBuiltInLoaders } from "@babylonjs/loaders/dynamic.js";

registerBuiltInLoaders();

window.show = async ({ url, view, hideMesh, hideSplats, background, frame }) => {
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
  new HemisphericLight("light", new Vector3(0.2, 1, 0.6), scene).intensity = 1.1;
  const loaded = await ImportMeshAsync(url, scene);
  let splats = 0;
  let meshVertices = 0;
  for (const mesh of loaded.meshes) {
    const isSplat = mesh.getClassName() === "GaussianSplattingMesh";
    if (isSplat) splats += mesh.splatCount ?? mesh._vertexCount ?? 0;
    else meshVertices += mesh.getTotalVertices();
    const isMesh = !isSplat && mesh.getTotalVertices() > 0; // not the empty root above all
    if ((isSplat && hideSplats) || (isMesh && hideMesh)) mesh.setEnabled(false);
  }
  for (const group of loaded.animationGroups) {
    group.stop();
    if (frame !== undefined) {
      group.start(false);
      group.goToFrame(group.from + (group.to - group.from) * frame);
      group.pause();
    }
  }
  await scene.whenReadyAsync();
  for (let k = 0; k < 12; k++) {
    scene.render();
    await new Promise((done) => setTimeout(done, 60));
  }
  scene.render();
  return {
    picture: canvas.toDataURL("image/png"),
    splats,
    meshVertices,
    skeletons: loaded.skeletons.map((s) => s.bones.length),
    animations: loaded.animationGroups.length,
  };
};
window.ready = true;
