// Reads the payload, keeps the state, and builds the panel. `window.handViewer` is for scripts.

const FINGERS = ["thumb", "index", "middle", "ring", "pinky"];
const JOINTS = ["index", "middle", "pinky", "ring", "thumb"]; // MANO's order, three joints each
const WRIST = ["bend", "tilt", "turn"];

async function readPayload(manifest) {
  const text = document.getElementById("payload").textContent.trim();
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const kinds = { u1: Uint8Array, i2: Int16Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array };
  const arrays = {};
  for (const [name, { kind, start, length, scale }] of Object.entries(manifest.arrays)) {
    const raw = new kinds[kind](buffer, start, length);
    arrays[name] = scale === undefined ? raw : Float32Array.from(raw, (v) => v * scale);
  }
  return arrays;
}

function loadImage(source) {
  return new Promise((done, failed) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => failed(new Error("a picture in the page is damaged"));
    image.src = source;
  });
}

class Viewer {
  async start() {
    const manifest = JSON.parse(document.getElementById("manifest").textContent);
    this.manifest = manifest;
    const arrays = await readPayload(manifest);
    this.arrays = arrays;
    this.hands = [];
    for (const side of manifest.sides) {
      const own = {};
      for (const name of Object.keys(arrays)) if (name.startsWith(side + ".")) own[name.slice(side.length + 1)] = arrays[name];
      own.image = await loadImage(manifest.textures[side]);
      this.hands.push(new Hand(own, side));
    }
    this.canvas = document.getElementById("view");
    this.painter = new Painter(this.canvas, this.hands);
    this.angles = {}; this.wrist = {}; this.shown = {};
    for (const side of manifest.sides) {
      this.angles[side] = new Float32Array(45);
      this.wrist[side] = [0, 0, 0];
    }
    this.show = { splats: true, mesh: false, skeleton: false };
    this.evidence = false;
    this.background = [0.137, 0.153, 0.18];
    this.camera = { yaw: 0, pitch: 0, distance: manifest.distance, target: manifest.target.slice() };
    this.motion = null; this.playing = false; this.time = 0;
    this.buildPanel();
    this.bindPointer();
    new ResizeObserver(() => this.resize()).observe(this.canvas.parentElement);
    this.resize();
    this.repose();
    document.getElementById("status").textContent = `${this.painter.count.toLocaleString("en")} splats`;
    requestAnimationFrame((t) => this.tick(t));
  }

  // --- pose ---
  repose() {
    for (const hand of this.hands) {
      const k = hand.side === "right" ? 0 : 1;
      let quats, place;
      if (this.motion) {
        const { theta, trans, frames } = this.motion;
        const at = Math.min(this.time * this.motion.fps, frames - 1), low = Math.floor(at), high = Math.min(low + 1, frames - 1), f = at - low;
        quats = [];
        for (let j = 0; j < 16; j++) {
          const o = (low * 2 + k) * 48 + 3 * j, p = (high * 2 + k) * 48 + 3 * j;
          const a = quatFromAxisAngle(theta[o], theta[o + 1], theta[o + 2]), b = quatFromAxisAngle(theta[p], theta[p + 1], theta[p + 2]);
          const sign = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3] < 0 ? -1 : 1;
          const q = a.map((v, i) => v * (1 - f) + sign * b[i] * f), n = Math.hypot(...q);
          quats.push(q.map((v) => v / n));
        }
        place = [0, 1, 2].map((i) => trans[(low * 2 + k) * 3 + i] * (1 - f) + trans[(high * 2 + k) * 3 + i] * f);
      } else {
        const s = hand.side === "left" ? -1 : 1;
        const w = this.wrist[hand.side];
        // bend about the hand's side-to-side axis, tilt about the palm's normal, turn about the arm
        const bend = quatFromAxisAngle(0, 0, s * w[0]), tilt = quatFromAxisAngle(0, s * w[1], 0), turn = quatFromAxisAngle(w[2], 0, 0);
        const own = quatMultiply(turn, quatMultiply(tilt, bend));
        quats = [quatMultiply(this.manifest.display[hand.side], own), ...jointQuats(this.angles[hand.side], this.arrays.frames, hand.side === "left")];
        place = this.manifest.places[hand.side];
      }
      hand.pose(quats, place);
    }
    this.painter.update(this.shown, this.evidence);
    this.dirty = true;
  }

  setMotion(name) {
    this.motion = null;
    if (name) {
      const info = this.manifest.motions[name];
      this.motion = { ...info, theta: this.arrays[`motion.${name}.theta`], trans: this.arrays[`motion.${name}.trans`] };
    }
    this.time = 0;
    this.playing = Boolean(name);
    this.syncPanel();
    this.repose();
  }

  setPose(name) {
    const pose = this.manifest.poses[name];
    for (const side of this.chosenSides()) { this.angles[side].set(pose); this.wrist[side] = [0, 0, 0]; }
    this.stopMotion();
  }

  stopMotion() { this.motion = null; this.playing = false; this.syncPanel(); this.repose(); }

  chosenSides() {
    const chosen = this.sidePicker?.value ?? "both";
    return this.manifest.sides.filter((s) => chosen === "both" || s === chosen);
  }

  setCurl(finger, amount) {
    const fist = this.manifest.fist, first = 9 * JOINTS.indexOf(finger);
    for (const side of this.chosenSides()) for (let i = 0; i < 9; i++) this.angles[side][first + i] = i % 3 === 1 && finger !== "thumb" ? this.angles[side][first + i] : amount * fist[first + i];
    this.stopMotion();
  }

  setJoint(joint, axis, radians) {
    for (const side of this.chosenSides()) this.angles[side][3 * joint + axis] = radians;
    this.stopMotion();
  }

  setWrist(axis, radians) {
    for (const side of this.chosenSides()) this.wrist[side][axis] = radians;
    this.stopMotion();
  }

  // --- camera ---
  viewMatrix() {
    const { yaw, pitch, distance, target } = this.camera;
    const cy = Math.cos(yaw), sy = Math.sin(yaw), cp = Math.cos(pitch), sp = Math.sin(pitch);
    // columns of the rotation world -> camera, OpenCV axes
    const r = [cy, sy * sp, sy * cp, 0, cp, -sp, -sy, cy * sp, cy * cp]; // column-major
    const t = [0, 1, 2].map((i) => -(r[i] * target[0] + r[3 + i] * target[1] + r[6 + i] * target[2]));
    t[2] += distance;
    return new Float32Array([r[0], r[1], r[2], 0, r[3], r[4], r[5], 0, r[6], r[7], r[8], 0, t[0], t[1], t[2], 1]);
  }

  focal() { return 1.55 * Math.min(this.canvas.height, this.canvas.width * 1.05); }

  bindPointer() {
    const canvas = this.canvas, active = new Map();
    canvas.addEventListener("contextmenu", (e) => e.preventDefault());
    canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); active.set(e.pointerId, [e.clientX, e.clientY]); });
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (e) => active.delete(e.pointerId));
    canvas.addEventListener("pointermove", (e) => {
      const last = active.get(e.pointerId);
      if (!last) return;
      const dx = e.clientX - last[0], dy = e.clientY - last[1];
      if (active.size === 2) {
        const other = [...active.entries()].find(([id]) => id !== e.pointerId)[1];
        const before = Math.hypot(last[0] - other[0], last[1] - other[1]), after = Math.hypot(e.clientX - other[0], e.clientY - other[1]);
        this.zoom(before / Math.max(after, 1));
        this.pan(dx / 2, dy / 2);
      } else if (e.buttons === 2 || e.shiftKey) this.pan(dx, dy);
      else {
        this.camera.yaw += dx * 0.008;
        this.camera.pitch = Math.max(-1.5, Math.min(1.5, this.camera.pitch - dy * 0.008));
      }
      active.set(e.pointerId, [e.clientX, e.clientY]);
      this.dirty = true;
    });
    canvas.addEventListener("wheel", (e) => { e.preventDefault(); this.zoom(Math.exp(e.deltaY * 0.0012)); }, { passive: false });
    canvas.addEventListener("dblclick", () => this.resetCamera());
  }

  zoom(factor) { this.camera.distance = Math.max(0.06, Math.min(3, this.camera.distance * factor)); this.dirty = true; }

  pan(dx, dy) {
    const m = this.viewMatrix(), step = this.camera.distance * devicePixelRatio / this.focal();
    for (let i = 0; i < 3; i++) this.camera.target[i] -= step * (dx * m[4 * i] + dy * m[4 * i + 1]);
    this.dirty = true;
  }

  resetCamera() { this.camera = { yaw: 0, pitch: 0, distance: this.manifest.distance, target: this.manifest.target.slice() }; this.dirty = true; }

  resize() {
    const box = this.canvas.parentElement.getBoundingClientRect(), ratio = Math.min(devicePixelRatio, 2);
    this.canvas.width = Math.max(1, Math.round(box.width * ratio));
    this.canvas.height = Math.max(1, Math.round(box.height * ratio));
    this.dirty = true;
  }

  tick(now) {
    if (this.motion && this.playing) {
      const step = Math.min((now - (this.lastTick ?? now)) / 1000, 0.1);
      this.time = (this.time + step) % Math.max(this.motion.frames / this.motion.fps, 1e-6);
      this.scrubber.value = this.time;
      this.repose();
    }
    this.lastTick = now;
    if (this.dirty) this.render();
    requestAnimationFrame((t) => this.tick(t));
  }

  render() {
    this.dirty = false;
    this.painter.draw({ view: this.viewMatrix(), focal: this.focal(), background: this.background, show: this.show, shown: this.shown });
  }

  screenshot() {
    this.render();
    this.canvas.toBlob((blob) => {
      const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: "hand.png" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  // --- panel ---
  buildPanel() {
    const panel = document.getElementById("panel"), m = this.manifest;
    const heading = (text) => panel.append(Object.assign(document.createElement("h2"), { textContent: text }));
    this.sliders = []; // what follows the state when a script or another control changes it
    const row = () => { const div = Object.assign(document.createElement("div"), { className: "row" }); panel.append(div); return div; };
    const button = (parent, text, act, pressed) => {
      const b = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      if (pressed) {
        b.sync = () => b.setAttribute("aria-pressed", String(pressed()));
        this.sliders.push(b.sync);
        b.sync();
      }
      b.addEventListener("click", () => { act(); b.sync?.(); });
      parent.append(b);
      return b;
    };
    const select = (parent, name, choices, act) => {
      const s = document.createElement("select");
      s.setAttribute("aria-label", name);
      for (const [value, text] of choices) s.append(Object.assign(document.createElement("option"), { value, textContent: text }));
      s.addEventListener("change", () => act(s.value));
      parent.append(s);
      return s;
    };
    const slider = (parent, name, id, low, high, read, act) => {
      const l = document.createElement("label"), out = document.createElement("output");
      const input = Object.assign(document.createElement("input"), { type: "range", min: Math.round(low), max: Math.round(high), step: 1, id });
      l.append(Object.assign(document.createElement("span"), { textContent: name }), input, out);
      input.addEventListener("input", () => { act(Number(input.value)); out.textContent = Math.round(Number(input.value)); });
      this.sliders.push(() => { input.value = read(); out.textContent = Math.round(read()); });
      parent.append(l);
    };
    const degrees = Math.PI / 180, first = () => this.chosenSides()[0];

    heading("Show");
    const shows = row();
    for (const what of ["splats", "mesh", "skeleton"]) button(shows, what, () => { this.show[what] = !this.show[what]; this.dirty = true; }, () => this.show[what]);
    const more = row();
    button(more, "evidence", () => { this.evidence = !this.evidence; this.repose(); }, () => this.evidence);
    button(more, "screenshot", () => this.screenshot());
    button(more, "reset view", () => this.resetCamera());
    const color = Object.assign(document.createElement("input"), { type: "color", value: "#23272e", ariaLabel: "background" });
    color.addEventListener("input", () => { this.background = [1, 3, 5].map((i) => parseInt(color.value.slice(i, i + 2), 16) / 255); this.dirty = true; });
    const back = document.createElement("label");
    back.append(Object.assign(document.createElement("span"), { textContent: "background" }), color);
    panel.append(back);
    if (m.photo) {
      const figure = document.getElementById("photo");
      figure.querySelector("img").src = m.photo;
      button(row(), "photo beside", () => { figure.hidden = !figure.hidden; }, () => !figure.hidden);
    }
    heading("Motion");
    const play = row();
    this.motionPicker = select(play, "motion", [["", "still"], ...Object.keys(m.motions).map((n) => [n, n])], (v) => this.setMotion(v));
    this.playButton = button(play, "play", () => { this.playing = !this.playing; }, () => this.playing);
    this.scrubber = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 1, step: 0.001, value: 0, ariaLabel: "time" });
    this.scrubber.addEventListener("input", () => { this.playing = false; this.playButton.sync(); this.time = Number(this.scrubber.value); this.repose(); });
    row().append(this.scrubber);
    heading("Pose");
    const poses = row();
    const sides = m.sides.length > 1 ? [["both", "both hands"], ["right", "right hand"], ["left", "left hand"]] : [[m.sides[0], `${m.sides[0]} hand`]];
    this.sidePicker = select(poses, "hand", sides, () => this.syncPanel());
    this.posePicker = select(poses, "pose", [["", "pose…"], ...Object.keys(m.poses).map((n) => [n, n])], (v) => v && this.setPose(v));
    heading("Curl");
    for (const finger of FINGERS) {
      const o = 9 * JOINTS.indexOf(finger), fist = m.fist;
      slider(panel, finger, `curl-${finger}`, -20, 100, () => 100 * this.angles[first()][o] / fist[o], (v) => this.setCurl(finger, v / 100));
    }
    heading("Wrist");
    WRIST.forEach((name, k) => slider(panel, name, `wrist-${name}`, k === 2 ? -180 : -80, k === 2 ? 180 : 80, () => this.wrist[first()][k] / degrees, (v) => this.setWrist(k, v * degrees)));
    heading("Joints");
    for (const finger of FINGERS) {
      const box = document.createElement("details");
      box.append(Object.assign(document.createElement("summary"), { textContent: finger }));
      for (let k = 0; k < 3; k++) {
        const joint = 3 * JOINTS.indexOf(finger) + k;
        ["bend", "spread", "twist"].forEach((axis, a) => {
          const low = m.lowest[3 * joint + a] / degrees, high = m.highest[3 * joint + a] / degrees;
          if (high - low < 10) return; // an axis that the joint does not have
          slider(box, `${k + 1} ${axis}`, `${finger}${k + 1}-${axis}`, low, high, () => this.angles[first()][3 * joint + a] / degrees, (v) => this.setJoint(joint, a, v * degrees));
        });
      }
      panel.append(box);
    }
    heading("About");
    panel.append(Object.assign(document.createElement("p"), { className: "note", textContent: m.about }));
    this.syncPanel();
  }

  syncPanel() {
    for (const sync of this.sliders) sync();
    this.playButton.sync();
    this.scrubber.max = this.motion ? this.motion.frames / this.motion.fps : 1;
    this.scrubber.value = this.time;
    this.scrubber.disabled = !this.motion;
    if (!this.motion) this.motionPicker.value = "";
  }
}

window.handViewer = new Viewer();
window.handViewer.ready = window.handViewer.start().catch((error) => {
  document.getElementById("status").textContent = `cannot show the avatar: ${error.message}`;
  throw error;
});
