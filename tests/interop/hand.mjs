// An animated splat hand from a .glb of `hand-toolkit export --set splat_skin=always`, without any
// engine: the splats, the bones, and the splats moved by the bones at a time.

const TYPES = { 5121: Uint8Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array };
const WIDTHS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4, MAT4: 16 };
const SPLATTING = "KHR_gaussian_splatting";
const SH_C0 = 0.28209479177387814;

export async function loadHands(url) {
  const data = await (await fetch(url)).arrayBuffer();
  const view = new DataView(data);
  const size = view.getUint32(12, true);
  const gltf = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 20, size)));
  const start = 28 + size;
  const read = (index) => {
    const a = gltf.accessors[index];
    const b = gltf.bufferViews[a.bufferView];
    const width = WIDTHS[a.type];
    const Type = TYPES[a.componentType];
    const row = b.byteStride ?? width * Type.BYTES_PER_ELEMENT;
    const out = new Float32Array(a.count * width);
    const scale = a.normalized ? (Type === Uint8Array ? 255 : 65535) : 1;
    for (let i = 0; i < a.count; i++) {
      const at = start + (b.byteOffset ?? 0) + (a.byteOffset ?? 0) + i * row;
      const values = new Type(data.slice(at, at + width * Type.BYTES_PER_ELEMENT));
      for (let k = 0; k < width; k++) out[i * width + k] = values[k] / scale;
    }
    return out;
  };
  const nodes = gltf.nodes.map((n) => ({
    t: n.translation ?? [0, 0, 0],
    r: n.rotation ?? [0, 0, 0, 1],
    s: n.scale ?? [1, 1, 1],
    parent: -1,
  }));
  gltf.nodes.forEach((n, k) => (n.children ?? []).forEach((c) => (nodes[c].parent = k)));
  const tracks = (gltf.animations?.[0]?.channels ?? []).map((c) => {
    const sampler = gltf.animations[0].samplers[c.sampler];
    return { node: c.target.node, path: c.target.path, times: read(sampler.input), values: read(sampler.output) };
  });
  const hands = [];
  for (const node of gltf.nodes) {
    const primitive = gltf.meshes?.[node.mesh]?.primitives[0];
    if (!primitive?.extensions?.[SPLATTING] || node.skin === undefined) continue;
    const at = (name) => read(primitive.attributes[name]);
    const skin = gltf.skins[node.skin];
    const joints = [at("JOINTS_0")];
    const weights = [at("WEIGHTS_0")];
    if ("JOINTS_1" in primitive.attributes) {
      joints.push(at("JOINTS_1"));
      weights.push(at("WEIGHTS_1"));
    }
    const sh = at(`${SPLATTING}:SH_DEGREE_0_COEF_0`);
    hands.push({
      name: node.name,
      count: sh.length / 3,
      means: at("POSITION"),
      quats: at(`${SPLATTING}:ROTATION`), // xyzw
      scales: at(`${SPLATTING}:SCALE`),
      opacities: at(`${SPLATTING}:OPACITY`),
      colors: sh.map((v) => Math.min(Math.max(0.5 + SH_C0 * v, 0), 1)), // sRGB
      joints,
      weights,
      bones: skin.joints,
      inverse: read(skin.inverseBindMatrices),
    });
  }
  const duration = tracks.length ? Math.max(...tracks.map((t) => t.times.at(-1))) : 0;
  return { hands, nodes, tracks, duration };
}

// World matrices (16 numbers, column by column) of every node at a time in seconds.
export function worldMatrices(scene, time) {
  const local = scene.nodes.map((n) => ({ t: n.t, r: n.r, s: n.s }));
  for (const { node, path, times, values } of scene.tracks) {
    let k = 0;
    while (k < times.length - 2 && times[k + 1] <= time) k++;
    const span = times[k + 1] - times[k];
    const f = times.length > 1 ? Math.min(Math.max((time - times[k]) / span, 0), 1) : 0;
    const width = path === "rotation" ? 4 : 3;
    const a = values.subarray(k * width, k * width + width);
    const b = times.length > 1 ? values.subarray((k + 1) * width, (k + 2) * width) : a;
    let mixed = Array.from(a, (v, i) => v * (1 - f) + b[i] * f);
    if (path === "rotation") {
      const length = Math.hypot(...mixed);
      mixed = mixed.map((v) => v / length);
    }
    local[node][{ rotation: "r", translation: "t", scale: "s" }[path]] = mixed;
  }
  const world = new Array(local.length);
  const resolve = (k) => {
    if (world[k]) return world[k];
    const own = compose(local[k]);
    const parent = scene.nodes[k].parent;
    return (world[k] = parent < 0 ? own : multiply(resolve(parent), own));
  };
  local.forEach((_, k) => resolve(k));
  return world;
}

// Means, rotations (xyzw) and scales of one hand moved by its bones.
export function skinned(scene, hand, time) {
  const world = worldMatrices(scene, time);
  const bones = hand.bones.map((b, k) => multiply(world[b], hand.inverse.subarray(16 * k, 16 * k + 16)));
  const means = new Float32Array(hand.means.length);
  const quats = new Float32Array(hand.quats.length);
  const m = new Float32Array(16);
  for (let i = 0; i < hand.count; i++) {
    m.fill(0);
    for (let set = 0; set < hand.joints.length; set++) {
      for (let k = 0; k < 4; k++) {
        const w = hand.weights[set][4 * i + k];
        if (!w) continue;
        const bone = bones[hand.joints[set][4 * i + k]];
        for (let e = 0; e < 16; e++) m[e] += w * bone[e];
      }
    }
    const [x, y, z] = hand.means.subarray(3 * i, 3 * i + 3);
    for (let r = 0; r < 3; r++) means[3 * i + r] = m[r] * x + m[4 + r] * y + m[8 + r] * z + m[12 + r];
    quats.set(times(rotation(m), hand.quats.subarray(4 * i, 4 * i + 4)), 4 * i);
  }
  return { means, quats, scales: hand.scales };
}

function compose({ t, r: [x, y, z, w], s }) {
  return new Float32Array([
    (1 - 2 * (y * y + z * z)) * s[0], 2 * (x * y + z * w) * s[0], 2 * (x * z - y * w) * s[0], 0,
    2 * (x * y - z * w) * s[1], (1 - 2 * (x * x + z * z)) * s[1], 2 * (y * z + x * w) * s[1], 0,
    2 * (x * z + y * w) * s[2], 2 * (y * z - x * w) * s[2], (1 - 2 * (x * x + y * y)) * s[2], 0,
    t[0], t[1], t[2], 1,
  ]);
}

function multiply(a, b) {
  const out = new Float32Array(16);
  for (let c = 0; c < 4; c++)
    for (let r = 0; r < 4; r++)
      for (let k = 0; k < 4; k++) out[4 * c + r] += a[4 * k + r] * b[4 * c + k];
  return out;
}

// Quaternion of a matrix that is nearly a rotation, after one Gram-Schmidt step.
function rotation(m) {
  const unit = (v) => v.map((x) => x / Math.hypot(...v));
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const x = unit([m[0], m[1], m[2]]);
  const z = unit(cross(x, [m[4], m[5], m[6]]));
  const y = cross(z, x);
  const trace = x[0] + y[1] + z[2];
  if (trace > 0) {
    const s = 2 * Math.sqrt(trace + 1);
    return [(y[2] - z[1]) / s, (z[0] - x[2]) / s, (x[1] - y[0]) / s, s / 4];
  }
  if (x[0] > y[1] && x[0] > z[2]) {
    const s = 2 * Math.sqrt(1 + x[0] - y[1] - z[2]);
    return [s / 4, (x[1] + y[0]) / s, (z[0] + x[2]) / s, (y[2] - z[1]) / s];
  }
  if (y[1] > z[2]) {
    const s = 2 * Math.sqrt(1 + y[1] - x[0] - z[2]);
    return [(x[1] + y[0]) / s, s / 4, (y[2] + z[1]) / s, (z[0] - x[2]) / s];
  }
  const s = 2 * Math.sqrt(1 + z[2] - x[0] - y[1]);
  return [(z[0] + x[2]) / s, (y[2] + z[1]) / s, s / 4, (x[1] - y[0]) / s];
}

function times([ax, ay, az, aw], [bx, by, bz, bw]) {
  return [
    aw * bx + ax * bw + ay * bz - az * by,
    aw * by - ax * bz + ay * bw + az * bx,
    aw * bz + ax * by - ay * bx + az * bw,
    aw * bw - ax * bx - ay * by - az * bz,
  ];
}
