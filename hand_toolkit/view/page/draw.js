// Draws splats, mesh and skeleton with WebGL 2. World axes are the toolkit's: y down, z forward.

const TEXELS = 3; // RGBA32F texels a splat: place and colour, covariance, covariance
const ROW = 512; // splats a texture row

const SPLAT_VERTEX = `#version 300 es
precision highp float; precision highp int; precision highp sampler2D;
uniform sampler2D data; uniform mat4 view; uniform vec2 focal; uniform vec2 size; uniform vec2 clip;
in vec2 corner; in uint index;
out vec2 at; flat out vec4 color;
void main() {
  ivec2 o = ivec2(int(index % ${ROW}u) * ${TEXELS}, int(index / ${ROW}u));
  vec4 first = texelFetch(data, o, 0), second = texelFetch(data, o + ivec2(1, 0), 0), third = texelFetch(data, o + ivec2(2, 0), 0);
  vec3 p = (view * vec4(first.xyz, 1.0)).xyz;
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0);
  if (p.z < clip.x) return;
  mat3 S = mat3(second.x, second.y, second.z, second.y, second.w, third.x, second.z, third.x, third.y);
  vec2 limit = 1.3 * 0.5 * size / focal;
  vec2 t = clamp(p.xy / p.z, -limit, limit);
  mat3 J = mat3(focal.x / p.z, 0.0, 0.0, 0.0, focal.y / p.z, 0.0, -focal.x * t.x / p.z, -focal.y * t.y / p.z, 0.0);
  mat3 T = J * mat3(view);
  mat3 C = T * S * transpose(T);
  float a = C[0][0] + 0.3, b = C[0][1], c = C[1][1] + 0.3;
  float mid = 0.5 * (a + c), gap = length(vec2(0.5 * (a - c), b));
  float big = mid + gap, small = max(mid - gap, 0.1);
  vec2 axis = gap < 1e-6 ? vec2(1.0, 0.0) : normalize(abs(b) > 1e-9 ? vec2(big - c, b) : (a >= c ? vec2(1.0, 0.0) : vec2(0.0, 1.0)));
  uint packed = floatBitsToUint(first.w);
  color = vec4(float(packed & 255u), float((packed >> 8u) & 255u), float((packed >> 16u) & 255u), float(packed >> 24u)) / 255.0;
  float reach = sqrt(2.0 * log(max(color.a * 255.0, 1.001)));
  at = corner * reach;
  vec2 pixel = focal * p.xy / p.z + at.x * sqrt(big) * axis + at.y * sqrt(small) * vec2(-axis.y, axis.x);
  float depth = (clip.y + clip.x) / (clip.y - clip.x) - 2.0 * clip.y * clip.x / ((clip.y - clip.x) * p.z);
  gl_Position = vec4(pixel * 2.0 / size * vec2(1.0, -1.0), depth, 1.0);
}`;

const SPLAT_FRAGMENT = `#version 300 es
precision highp float;
in vec2 at; flat in vec4 color; out vec4 result;
void main() {
  float alpha = color.a * exp(-0.5 * dot(at, at));
  if (alpha < 1.0 / 255.0) discard;
  result = vec4(color.rgb * alpha, alpha);
}`;

const MESH_VERTEX = `#version 300 es
uniform mat4 view, projection;
in vec3 position, normal; in vec2 uv;
out vec3 n; out vec2 st;
void main() { n = mat3(view) * normal; st = uv; gl_Position = projection * view * vec4(position, 1.0); gl_PointSize = 7.0; }`;

const MESH_FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D skin; uniform vec4 flatColor;
in vec3 n; in vec2 st; out vec4 result;
void main() {
  if (flatColor.a > 0.0) { result = flatColor; return; }
  vec3 unit = normalize(n);
  float key = max(dot(unit, normalize(vec3(-0.45, -0.55, -0.7))), 0.0), sky = 0.5 - 0.5 * unit.y;
  vec3 linear = pow(texture(skin, st).rgb, vec3(2.2)) * (0.30 + 0.30 * sky + 0.75 * key);
  result = vec4(pow(min(linear, 1.0), vec3(1.0 / 2.2)), 1.0);
}`;

class Painter {
  constructor(canvas, hands) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: false, preserveDrawingBuffer: true });
    if (!gl) throw new Error("this browser has no WebGL 2");
    Object.assign(this, { gl, canvas, hands });
    this.count = hands.reduce((n, h) => n + h.splatCount, 0);
    this.rows = Math.max(1, Math.ceil(this.count / ROW));
    this.texels = new Float32Array(this.rows * ROW * TEXELS * 4);
    this.bits = new Uint32Array(this.texels.buffer);
    this.order = new Uint32Array(this.count);
    this.keys = new Uint16Array(this.count);
    this.splatProgram = this.program(SPLAT_VERTEX, SPLAT_FRAGMENT);
    this.meshProgram = this.program(MESH_VERTEX, MESH_FRAGMENT);
    this.dataTexture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.dataTexture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32F, ROW * TEXELS, this.rows);
    for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, key, gl.NEAREST);
    this.splatArray = gl.createVertexArray();
    gl.bindVertexArray(this.splatArray);
    this.attribute(this.splatProgram, "corner", new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), 2);
    this.orderBuffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.orderBuffer);
    gl.bufferData(gl.ARRAY_BUFFER, this.order.byteLength, gl.DYNAMIC_DRAW);
    const where = gl.getAttribLocation(this.splatProgram, "index");
    gl.enableVertexAttribArray(where);
    gl.vertexAttribIPointer(where, 1, gl.UNSIGNED_INT, 0, 0);
    gl.vertexAttribDivisor(where, 1);
    this.meshes = hands.map((hand) => this.meshOf(hand));
    this.boneArray = gl.createVertexArray();
    gl.bindVertexArray(this.boneArray);
    this.boneBuffer = this.attribute(this.meshProgram, "position", new Float32Array(0), 3);
  }

  program(vertex, fragment) {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    return program;
  }

  attribute(program, name, data, width) {
    const gl = this.gl, buffer = gl.createBuffer(), where = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(where);
    gl.vertexAttribPointer(where, width, gl.FLOAT, false, 0, 0);
    return buffer;
  }

  meshOf(hand) {
    const gl = this.gl, array = gl.createVertexArray(), count = hand.splitVertex.length;
    gl.bindVertexArray(array);
    const mesh = { array, positions: new Float32Array(3 * count), normals: new Float32Array(3 * count), size: hand.splitFaces.length };
    mesh.positionBuffer = this.attribute(this.meshProgram, "position", mesh.positions, 3);
    mesh.normalBuffer = this.attribute(this.meshProgram, "normal", mesh.normals, 3);
    this.attribute(this.meshProgram, "uv", hand.splitUv, 2);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, Uint32Array.from(hand.splitFaces), gl.STATIC_DRAW);
    mesh.texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, mesh.texture);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, true);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, hand.image);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
    gl.generateMipmap(gl.TEXTURE_2D);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
    for (const key of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, key, gl.CLAMP_TO_EDGE);
    return mesh;
  }

  // Take over the hands' new poses; hidden hands get no opacity.
  update(shown, tint) {
    let n = 0;
    for (const hand of this.hands) {
      const visible = shown[hand.side] !== false;
      for (let i = 0; i < hand.splatCount; i++, n++) {
        const o = 4 * TEXELS * n, c = 6 * i;
        this.texels[o] = hand.centers[3 * i]; this.texels[o + 1] = hand.centers[3 * i + 1]; this.texels[o + 2] = hand.centers[3 * i + 2];
        for (let k = 0; k < 6; k++) this.texels[o + 4 + k] = hand.covariances[c + k];
        let r = hand.color[3 * i], g = hand.color[3 * i + 1], b = hand.color[3 * i + 2];
        if (tint) { const e = hand.evidence[i] / 255; r = 40 + 200 * (1 - e); g = 60 + 150 * e; b = 90; }
        this.bits[o + 3] = (visible ? ((hand.opacity[i] << 24) | (b << 16) | (g << 8) | r) : 0) >>> 0;
      }
    }
    const gl = this.gl;
    gl.bindTexture(gl.TEXTURE_2D, this.dataTexture);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, ROW * TEXELS, this.rows, gl.RGBA, gl.FLOAT, this.texels);
    this.meshStale = true;
  }

  updateMeshes() {
    const gl = this.gl;
    this.hands.forEach((hand, k) => {
      const mesh = this.meshes[k], normals = hand.vertexNormals();
      hand.splitVertex.forEach((v, i) => {
        for (let c = 0; c < 3; c++) { mesh.positions[3 * i + c] = hand.posed[3 * v + c]; mesh.normals[3 * i + c] = normals[3 * v + c]; }
      });
      gl.bindBuffer(gl.ARRAY_BUFFER, mesh.positionBuffer);
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, mesh.positions);
      gl.bindBuffer(gl.ARRAY_BUFFER, mesh.normalBuffer);
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, mesh.normals);
    });
    this.meshStale = false;
  }

  // Back to front by depth, a counting sort on 16 bits.
  sort(view) {
    const { order, keys, texels, count } = this, zx = view[2], zy = view[6], zz = view[10];
    let low = Infinity, high = -Infinity;
    const depth = this.depth ?? (this.depth = new Float32Array(count));
    for (let i = 0; i < count; i++) {
      const o = 4 * TEXELS * i, d = zx * texels[o] + zy * texels[o + 1] + zz * texels[o + 2];
      depth[i] = d;
      if (d < low) low = d;
      if (d > high) high = d;
    }
    const scale = 65535 / Math.max(high - low, 1e-9), starts = new Uint32Array(65537);
    for (let i = 0; i < count; i++) { keys[i] = 65535 - ((depth[i] - low) * scale) | 0; starts[keys[i] + 1]++; }
    for (let k = 0; k < 65536; k++) starts[k + 1] += starts[k];
    for (let i = 0; i < count; i++) order[starts[keys[i]]++] = i;
    const gl = this.gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.orderBuffer);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, order);
  }

  draw({ view, focal, background, show, shown }) {
    const gl = this.gl, w = this.canvas.width, h = this.canvas.height, near = 0.01, far = 20;
    gl.viewport(0, 0, w, h);
    gl.clearColor(...background, 1);
    gl.depthMask(true);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const projection = new Float32Array(16); // OpenCV camera axes to clip space
    projection[0] = 2 * focal / w; projection[5] = -2 * focal / h;
    projection[10] = (far + near) / (far - near); projection[11] = 1; projection[14] = -2 * far * near / (far - near);
    gl.useProgram(this.meshProgram);
    gl.uniformMatrix4fv(gl.getUniformLocation(this.meshProgram, "view"), false, view);
    gl.uniformMatrix4fv(gl.getUniformLocation(this.meshProgram, "projection"), false, projection);
    const flat = gl.getUniformLocation(this.meshProgram, "flatColor");
    if (show.mesh) {
      if (this.meshStale) this.updateMeshes();
      gl.enable(gl.DEPTH_TEST);
      gl.disable(gl.BLEND);
      gl.uniform4f(flat, 0, 0, 0, 0);
      this.meshes.forEach((mesh, k) => {
        if (shown[this.hands[k].side] === false) return;
        gl.bindVertexArray(mesh.array);
        gl.bindTexture(gl.TEXTURE_2D, mesh.texture);
        gl.drawElements(gl.TRIANGLES, mesh.size, gl.UNSIGNED_INT, 0);
      });
    }
    if (show.splats) {
      this.sort(view);
      gl.useProgram(this.splatProgram);
      gl.enable(gl.DEPTH_TEST);
      gl.depthMask(false);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
      const at = (name) => gl.getUniformLocation(this.splatProgram, name);
      gl.uniformMatrix4fv(at("view"), false, view);
      gl.uniform2f(at("focal"), focal, focal);
      gl.uniform2f(at("size"), w, h);
      gl.uniform2f(at("clip"), near, far);
      gl.bindVertexArray(this.splatArray);
      gl.bindTexture(gl.TEXTURE_2D, this.dataTexture);
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.count);
    }
    if (show.skeleton) this.drawBones(flat, shown);
    gl.bindVertexArray(null);
  }

  drawBones(flat, shown) {
    const gl = this.gl, lines = [], points = [];
    for (const hand of this.hands) {
      if (shown[hand.side] === false) continue;
      const J = hand.jointPlaces, T = hand.tipPlaces;
      for (let j = 0; j < 16; j++) {
        points.push(J[3 * j], J[3 * j + 1], J[3 * j + 2]);
        if (PARENTS[j] >= 0) lines.push(J[3 * PARENTS[j]], J[3 * PARENTS[j] + 1], J[3 * PARENTS[j] + 2], J[3 * j], J[3 * j + 1], J[3 * j + 2]);
      }
      for (let k = 0; k < 5; k++) {
        const j = hand.tipBones[k];
        points.push(T[3 * k], T[3 * k + 1], T[3 * k + 2]);
        lines.push(J[3 * j], J[3 * j + 1], J[3 * j + 2], T[3 * k], T[3 * k + 1], T[3 * k + 2]);
      }
    }
    gl.useProgram(this.meshProgram);
    gl.disable(gl.DEPTH_TEST);
    gl.disable(gl.BLEND);
    gl.bindVertexArray(this.boneArray);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.boneBuffer);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([...lines, ...points]), gl.DYNAMIC_DRAW);
    gl.uniform4f(flat, 1, 0.93, 0.75, 1);
    gl.drawArrays(gl.LINES, 0, lines.length / 3);
    gl.uniform4f(flat, 0.95, 0.45, 0.25, 1);
    gl.drawArrays(gl.POINTS, lines.length / 3, points.length / 3);
  }
}
