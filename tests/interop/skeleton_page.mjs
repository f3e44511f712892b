// Poses exported hands by three.js' XR hand model and by three-vrm, and reports their vertices.
import * as THREE from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { XRHandMeshModel } from "three/addons/webxr/XRHandMeshModel.js";
import { VRMLoaderPlugin } from "@pixiv/three-vrm";

function vertices(object) {
  const out = {};
  object.updateMatrixWorld(true);
  object.traverse((mesh) => {
    if (!mesh.isSkinnedMesh) return;
    mesh.skeleton.update();
    const v = new THREE.Vector3();
    out[mesh.name] = [];
    for (let i = 0; i < mesh.geometry.attributes.position.count; i++) {
      mesh.getVertexPosition(i, v);
      v.applyMatrix4(mesh.matrixWorld);
      out[mesh.name].push(v.x, v.y, v.z);
    }
  });
  return out;
}

// joints: name -> [x, y, z, qx, qy, qz, qw] in the world, as a headset gives them
async function webxr({ url, side, joints }) {
  const controller = { joints: {} };
  for (const [name, [x, y, z, ...q]] of Object.entries(joints)) {
    controller.joints[name] = {
      visible: true,
      position: new THREE.Vector3(x, y, z),
      quaternion: new THREE.Quaternion(...q),
      jointRadius: 0.01,
    };
  }
  const holder = new THREE.Group();
  const model = await new Promise((done, fail) => {
    const loader = { load: (_name, take) => new GLTFLoader().loadAsync(url).then(take).catch(fail) };
    const made = new XRHandMeshModel(holder, controller, "", side, loader, () => setTimeout(() => done(made)));
  });
  model.updateMesh();
  return { vertices: vertices(holder), missing: model.bones.filter((b) => b === undefined).length };
}

// turns: humanoid bone -> [qx, qy, qz, qw] from its rest
async function vrm({ url, turns }) {
  const loader = new GLTFLoader();
  loader.register((parser) => new VRMLoaderPlugin(parser));
  const gltf = await loader.loadAsync(url);
  const { humanoid, meta } = gltf.userData.vrm;
  for (const [name, q] of Object.entries(turns)) humanoid.getNormalizedBoneNode(name).quaternion.set(...q);
  humanoid.update();
  const places = {};
  gltf.scene.updateMatrixWorld(true);
  for (const name of Object.keys(turns)) {
    const p = humanoid.getRawBoneNode(name).getWorldPosition(new THREE.Vector3());
    places[name] = [p.x, p.y, p.z];
  }
  return { vertices: vertices(gltf.scene), places, meta: meta.metaVersion, title: meta.name };
}

window.show = (args) => (args.kind === "vrm" ? vrm(args) : webxr(args));
window.ready = true;
