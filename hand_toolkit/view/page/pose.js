"use strict";
// Poses the hands: MANO's joint chain, pose correctives, linear blend skinning, splats on triangles.
// The arithmetic is that of hand_toolkit.hand_model.pose_hand and hand_toolkit.avatar.place.

const PARENTS = [-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14];

function quatFromAxisAngle(x, y, z) {
  const angle = Math.hypot(x, y, z);
  const s = angle < 1e-9 ? 0.5 : Math.sin(angle / 2) / angle;
  return [Math.cos(angle / 2), x * s, y * s, z * s];
}

function quatMultiply(a, b) {
  return [
    a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
    a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
    a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
    a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
  ];
}

// row-major 3x3 of a unit quaternion wxyz, written at out[o..o+8]
function matrixFromQuat(w, x, y, z, out, o) {
  out[o] = 1 - 2 * (y * y + z * z); out[o + 1] = 2 * (x * y - w * z); out[o + 2] = 2 * (x * z + w * y);
  out[o + 3] = 2 * (x * y + w * z); out[o + 4] = 1 - 2 * (x * x + z * z); out[o + 5] = 2 * (y * z - w * x);
  out[o + 6] = 2 * (x * z - w * y); out[o + 7] = 2 * (y * z + w * x); out[o + 8] = 1 - 2 * (x * x + y * y);
}

// Axis-angle of each joint as quaternions, from bend, spread and twist angles (radians).
function jointQuats(angles, frames, mirrored) {
  const quats = [];
  const sign = mirrored ? -1 : 1; // a mirrored rotation keeps x and negates y and z
  for (let j = 0; j < 15; j++) {
    let q = [1, 0, 0, 0];
    for (let k = 0; k < 3; k++) {
      const f = 9 * j + 3 * k, a = angles[3 * j + k];
      q = quatMultiply(q, quatFromAxisAngle(a * frames[f], a * sign * frames[f + 1], a * sign * frames[f + 2]));
    }
    quats.push(q);
  }
  return quats;
}

class Hand {
  constructor(data, side) {
    Object.assign(this, data);
    this.side = side;
    this.vertexCount = this.rest.length / 3;
    this.splatCount = this.triangle.length;
    this.influences = this.joints.length / this.vertexCount;
    this.posed = new Float32Array(this.rest.length);
    this.corrected = new Float32Array(this.rest.length);
    this.normals = new Float32Array(this.rest.length);
    this.bones = new Float32Array(16 * 12);
    this.jointPlaces = new Float32Array(16 * 3);
    this.tipPlaces = new Float32Array(5 * 3);
    this.centers = new Float32Array(this.splatCount * 3);
    this.covariances = new Float32Array(this.splatCount * 6);
    this.restArea = new Float32Array(this.faces.length / 3);
    this.posed.set(this.rest);
    for (let f = 0; f < this.restArea.length; f++) this.restArea[f] = this.frame(f, new Float32Array(9));
  }

  // Frame (columns e1, e2, n as row-major 3x3) of face f on the posed mesh; returns twice its area.
  frame(f, out) {
    const p = this.posed, a = 3 * this.faces[3 * f], b = 3 * this.faces[3 * f + 1], c = 3 * this.faces[3 * f + 2];
    let ux = p[b] - p[a], uy = p[b + 1] - p[a + 1], uz = p[b + 2] - p[a + 2];
    const vx = p[c] - p[a], vy = p[c + 1] - p[a + 1], vz = p[c + 2] - p[a + 2];
    let nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
    const area = Math.hypot(nx, ny, nz), length = Math.hypot(ux, uy, uz);
    if (area < 1e-14 || length < 1e-10) { out.set([1, 0, 0, 0, 1, 0, 0, 0, 1]); return 0; }
    nx /= area; ny /= area; nz /= area; ux /= length; uy /= length; uz /= length;
    out[0] = ux; out[3] = uy; out[6] = uz;
    out[1] = ny * uz - nz * uy; out[4] = nz * ux - nx * uz; out[7] = nx * uy - ny * ux;
    out[2] = nx; out[5] = ny; out[8] = nz;
    return area;
  }

  // Pose with local rotations (16 quaternions, the wrist first) and the wrist's place.
  pose(quats, wrist) {
    const world = [], place = [], r = new Float32Array(9), J = this.restJoints;
    for (let j = 0; j < 16; j++) {
      const parent = PARENTS[j];
      if (parent < 0) { world.push(quats[0]); place.push(wrist); }
      else {
        world.push(quatMultiply(world[parent], quats[j]));
        matrixFromQuat(...world[parent], r, 0);
        const dx = J[3 * j] - J[3 * parent], dy = J[3 * j + 1] - J[3 * parent + 1], dz = J[3 * j + 2] - J[3 * parent + 2];
        const o = place[parent];
        place.push([
          o[0] + r[0] * dx + r[1] * dy + r[2] * dz,
          o[1] + r[3] * dx + r[4] * dy + r[5] * dz,
          o[2] + r[6] * dx + r[7] * dy + r[8] * dz,
        ]);
      }
      matrixFromQuat(...world[j], r, 0);
      for (let i = 0; i < 3; i++) {
        const b = 12 * j + 4 * i;
        this.bones[b] = r[3 * i]; this.bones[b + 1] = r[3 * i + 1]; this.bones[b + 2] = r[3 * i + 2];
        this.bones[b + 3] = place[j][i] - r[3 * i] * J[3 * j] - r[3 * i + 1] * J[3 * j + 1] - r[3 * i + 2] * J[3 * j + 2];
        this.jointPlaces[3 * j + i] = place[j][i];
      }
    }
    this.correct(quats);
    for (let k = 0; k < 5; k++) this.transform(this.tipBones[k], this.restTips, 3 * k, this.tipPlaces);
    this.skin();
    this.placeSplats();
  }

  transform(bone, from, o, to) {
    const m = this.bones, b = 12 * bone, x = from[o], y = from[o + 1], z = from[o + 2];
    for (let i = 0; i < 3; i++) to[o + i] = m[b + 4 * i] * x + m[b + 4 * i + 1] * y + m[b + 4 * i + 2] * z + m[b + 4 * i + 3];
  }

  // Pose correctives: what the flesh does beyond skinning, on the rest mesh.
  correct(quats) {
    const { rest, corrected, driverJoints, driverAxes, correctiveStarts, correctiveVertices, correctives } = this;
    corrected.set(rest);
    const r = new Float32Array(9);
    for (let k = 0; k < driverJoints.length; k++) {
      matrixFromQuat(...quats[driverJoints[k]], r, 0);
      let amount = 0;
      for (let i = 0; i < 9; i++) amount += driverAxes[9 * k + i] * (r[i] - (i % 4 === 0 ? 1 : 0));
      if (Math.abs(amount) < 1e-6) continue;
      for (let e = correctiveStarts[k]; e < correctiveStarts[k + 1]; e++) {
        const v = 3 * correctiveVertices[e];
        for (let i = 0; i < 3; i++) corrected[v + i] += amount * correctives[3 * e + i];
      }
    }
  }

  skin() {
    const { corrected: rest, joints, weights, posed, bones, influences } = this;
    for (let v = 0; v < this.vertexCount; v++) {
      const x = rest[3 * v], y = rest[3 * v + 1], z = rest[3 * v + 2];
      let px = 0, py = 0, pz = 0;
      for (let k = 0; k < influences; k++) {
        const w = weights[v * influences + k];
        if (w === 0) break;
        const b = 12 * joints[v * influences + k];
        px += w * (bones[b] * x + bones[b + 1] * y + bones[b + 2] * z + bones[b + 3]);
        py += w * (bones[b + 4] * x + bones[b + 5] * y + bones[b + 6] * z + bones[b + 7]);
        pz += w * (bones[b + 8] * x + bones[b + 9] * y + bones[b + 10] * z + bones[b + 11]);
      }
      posed[3 * v] = px; posed[3 * v + 1] = py; posed[3 * v + 2] = pz;
    }
  }

  vertexNormals() {
    const { posed, faces, normals } = this;
    normals.fill(0);
    for (let f = 0; f < faces.length; f += 3) {
      const a = 3 * faces[f], b = 3 * faces[f + 1], c = 3 * faces[f + 2];
      const ux = posed[b] - posed[a], uy = posed[b + 1] - posed[a + 1], uz = posed[b + 2] - posed[a + 2];
      const vx = posed[c] - posed[a], vy = posed[c + 1] - posed[a + 1], vz = posed[c + 2] - posed[a + 2];
      const nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
      for (const i of [a, b, c]) { normals[i] += nx; normals[i + 1] += ny; normals[i + 2] += nz; }
    }
    return normals;
  }

  placeSplats() {
    const F = new Float32Array(9), R = new Float32Array(9), M = new Float32Array(9);
    const { posed, faces, triangle, barycentric, offset, quat, scale, centers, covariances } = this;
    let last = -1, growth = 1;
    for (let n = 0; n < this.splatCount; n++) {
      const t = triangle[n];
      if (t !== last) {
        const area = this.frame(t, F);
        growth = Math.sqrt(area / Math.max(this.restArea[t], 1e-14));
        last = t;
      }
      const a = 3 * faces[3 * t], b = 3 * faces[3 * t + 1], c = 3 * faces[3 * t + 2];
      const u = barycentric[2 * n], v = barycentric[2 * n + 1], w = 1 - u - v;
      const ox = growth * offset[3 * n], oy = growth * offset[3 * n + 1], oz = growth * offset[3 * n + 2];
      for (let i = 0; i < 3; i++) {
        centers[3 * n + i] = u * posed[a + i] + v * posed[b + i] + w * posed[c + i] + F[3 * i] * ox + F[3 * i + 1] * oy + F[3 * i + 2] * oz;
      }
      matrixFromQuat(quat[4 * n], quat[4 * n + 1], quat[4 * n + 2], quat[4 * n + 3], R, 0);
      const s0 = scale[3 * n] * growth, s1 = scale[3 * n + 1] * growth, s2 = scale[3 * n + 2] * growth;
      for (let i = 0; i < 3; i++) {
        const f0 = F[3 * i], f1 = F[3 * i + 1], f2 = F[3 * i + 2];
        M[3 * i] = (f0 * R[0] + f1 * R[3] + f2 * R[6]) * s0;
        M[3 * i + 1] = (f0 * R[1] + f1 * R[4] + f2 * R[7]) * s1;
        M[3 * i + 2] = (f0 * R[2] + f1 * R[5] + f2 * R[8]) * s2;
      }
      const o = 6 * n;
      covariances[o] = M[0] * M[0] + M[1] * M[1] + M[2] * M[2];
      covariances[o + 1] = M[0] * M[3] + M[1] * M[4] + M[2] * M[5];
      covariances[o + 2] = M[0] * M[6] + M[1] * M[7] + M[2] * M[8];
      covariances[o + 3] = M[3] * M[3] + M[4] * M[4] + M[5] * M[5];
      covariances[o + 4] = M[3] * M[6] + M[4] * M[7] + M[5] * M[8];
      covariances[o + 5] = M[6] * M[6] + M[7] * M[7] + M[8] * M[8];
    }
  }
}
