"use strict";
(() => {
  const scene = JSON.parse(document.getElementById("scene").textContent);
  const canvas = document.getElementById("view");
  const context = canvas.getContext("2d");
  const picked = document.getElementById("picked");
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const points = new Int16Array(bytes(scene.points).buffer);
  const colours = bytes(scene.colours);
  const HOME = { yaw: scene.yaw, pitch: 0.4, zoom: 1, x: 0, y: 0 };
  const VIEWS = { orbit: HOME, top: { ...HOME, yaw: 0, pitch: Math.PI / 2 }, side: { ...HOME, yaw: 0, pitch: 0 } };
  const DISTANCE = 3.4;
  let view = { ...HOME };
  let places = [];
  let pending = false;

  // World z is up; the eye looks at the middle of the scene from yaw around z and pitch above the ground.
  function basis() {
    const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
    return [[cy, sy, 0], [sp * -sy, sp * cy, cp], [cp * sy, cp * -cy, sp]];
  }

  function draw() {
    pending = false;
    const ratio = window.devicePixelRatio || 1;
    const width = (canvas.width = Math.round(canvas.clientWidth * ratio));
    const height = (canvas.height = Math.round(canvas.clientHeight * ratio));
    const [right, up, back] = basis();
    const focal = Math.min(width, height) * 1.6 * view.zoom;
    const project = (x, y, z) => {
      const depth = DISTANCE - (back[0] * x + back[1] * y + back[2] * z);
      const scale = focal / Math.max(depth, 0.05);
      return [
        width / 2 + view.x * ratio + scale * (right[0] * x + right[1] * y + right[2] * z),
        height / 2 + view.y * ratio - scale * (up[0] * x + up[1] * y + up[2] * z),
        depth,
      ];
    };
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer).fill(0xff120f0d);
    const nearest = new Float32Array(width * height).fill(Infinity);
    const size = Math.max(1, Math.round(1.6 * ratio * Math.sqrt(view.zoom)));
    for (let k = 0; k < points.length; k += 3) {
      const [u, v, depth] = project(points[k] * scene.unit, points[k + 1] * scene.unit, points[k + 2] * scene.unit);
      if (depth < 0.1) continue;
      const colour = 0xff000000 | (colours[k + 2] << 16) | (colours[k + 1] << 8) | colours[k];
      for (let row = v | 0; row < (v | 0) + size; row++) {
        for (let column = u | 0; column < (u | 0) + size; column++) {
          if (column < 0 || row < 0 || column >= width || row >= height) continue;
          const at = row * width + column;
          if (depth < nearest[at]) { nearest[at] = depth; pixels[at] = colour >>> 0; }
        }
      }
    }
    context.putImageData(image, 0, 0);
    drawCameras(project, ratio);
  }

  function drawCameras(project, ratio) {
    const size = Math.min(0.09, 0.5 / Math.sqrt(scene.centres.length));
    context.lineWidth = 1.3 * ratio;
    places = scene.centres.map((centre, index) => {
      const axes = scene.axes[index];
      const [w, h] = scene.fov[index].map((deg) => size * Math.min(1.5, Math.tan((deg * Math.PI) / 360)));
      const corner = (x, y) => project(...centre.map((c, i) => c + axes[i][0] * x + axes[i][1] * y + axes[i][2] * size));
      const apex = project(...centre);
      const corners = [corner(-w, -h), corner(w, -h), corner(w, h), corner(-w, h)];
      context.strokeStyle = scene.refined[index] ? "#76a5ff" : "#f0a83c";
      context.beginPath();
      corners.forEach((to, i) => {
        const next = corners[(i + 1) % 4];
        context.moveTo(apex[0], apex[1]);
        context.lineTo(to[0], to[1]);
        context.lineTo(next[0], next[1]);
      });
      context.stroke();
      return [apex[0] / ratio, apex[1] / ratio];
    });
  }

  function redraw() {
    if (!pending) { pending = true; requestAnimationFrame(draw); }
  }

  // The mouse or one finger turns; two fingers move the scene and zoom by how far apart they go.
  const held = new Map();
  const zoomBy = (factor) => { view.zoom = Math.max(0.3, Math.min(20, view.zoom * factor)); };
  const release = (event) => { held.delete(event.pointerId); };
  function fingers() {
    const [a, b] = held.values();
    const apart = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    return [(a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2, Math.max(apart, 1)];
  }
  canvas.addEventListener("pointerdown", (event) => {
    held.set(event.pointerId, event);
    canvas.setPointerCapture(event.pointerId);
    name(event);
  });
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointermove", (event) => {
    const last = held.get(event.pointerId);
    if (!last) return name(event);
    const before = held.size > 1 && fingers();
    held.set(event.pointerId, event);
    const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
    if (before) {
      const after = fingers();
      view.x += after[0] - before[0];
      view.y += after[1] - before[1];
      zoomBy(after[2] / before[2]);
    } else if (event.shiftKey) { view.x += dx; view.y += dy; } else {
      view.yaw -= dx * 0.008;
      view.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, view.pitch + dy * 0.008));
    }
    redraw();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY * 0.001));
    redraw();
  }, { passive: false });
  document.querySelectorAll("[data-view]").forEach((button) => {
    button.addEventListener("click", () => { view = { ...VIEWS[button.dataset.view] }; redraw(); });
  });

  function name(event) {
    const box = canvas.getBoundingClientRect();
    const distance = ([x, y]) => Math.hypot(x - event.clientX + box.left, y - event.clientY + box.top);
    const index = places.reduce((best, place, k) => (distance(place) < distance(places[best]) ? k : best), 0);
    picked.textContent = places.length && distance(places[index]) < 12 ? " · " + scene.names[index] : "";
  }

  new ResizeObserver(redraw).observe(canvas);
  draw();
})();
