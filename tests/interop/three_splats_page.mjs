// Reads a .glb with three.js' own KHR_gaussian_splatting loader. What it makes is drawn by WebGPU,
// which headless Chromium has in software only and loses, so the splats are counted and measured.
import * as THREE from "three/webgpu";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { GLTFGaussianSplatLoaderExtension } from "three/addons/loaders/GLTFGaussianSplatLoaderExtension.js";

window.show = async ({ url }) => {
  const loader = new GLTFLoader();
  loader.register((parser) => new GLTFGaussianSplatLoaderExtension(parser));
  const gltf = await loader.loadAsync(url);
  const box = new THREE.Box3();
  let splats = 0;
  gltf.scene.traverse((node) => {
    if (!node.isGaussianSplat) return;
    const positions = node.splatGeometry.getAttribute("position");
    splats += positions.count;
    box.union(new THREE.Box3().setFromBufferAttribute(positions));
  });
  return { splats, box: [...box.min, ...box.max] };
};
window.ready = true;
