// The inquiry graph: a neighbourhood that is walked by clicking, on a map that stays where it was.
import cytoscape from "./cytoscape.esm.min.mjs";
import { walk } from "./walk.js";

const graphs = new WeakMap(); // one instance per mounted element, kept across reruns
const places = new Map(); // where every node ever met lies: known nodes never move

function style(t) {
  return [
    { selector: "node", style: {
      "label": "data(label)", "font-family": "Source Sans, system-ui, sans-serif", "font-size": 12, "color": t.ink,
      "text-wrap": "wrap", "text-max-width": 118, "text-valign": "bottom", "text-margin-y": 5, "line-height": 1.15,
      "text-background-color": t.paper, "text-background-opacity": 0.86, "text-background-padding": 2, "text-background-shape": "roundrectangle",
      "min-zoomed-font-size": 7, "background-color": t.paper, "border-width": 1.5, "border-color": t.soft, "width": 22, "height": 22,
      "overlay-opacity": 0, "z-index": 1 } },
    { selector: "node[kind = 'note']", style: { "shape": "ellipse", "background-color": t.panel } },
    { selector: "node[kind = 'line']", style: { "shape": "round-rectangle", "width": 38, "height": 20, "background-color": t.panel } },
    { selector: "node[kind = 'paper']", style: { "shape": "rectangle", "width": 14, "height": 18, "background-color": t.rule, "border-width": 1, "color": t.soft, "font-size": 11 } },
    { selector: "node[kind = 'claim']", style: { "shape": "hexagon", "width": 30, "height": 27, "border-width": 2 } },
    { selector: "node[glyph]", style: { "background-image": "data(glyph)", "background-width": 14, "background-height": 14, "background-image-opacity": 1 } },
    { selector: "node[colour]", style: { "border-color": "data(colour)" } },
    { selector: "node[standing = 'untested'], node[standing = 'open']", style: { "border-style": "dashed" } },
    { selector: "node.far", style: { "label": "", "opacity": 0.55, "width": 14, "height": 14 } },
    { selector: "node.near", style: { "label": "data(label)", "z-index": 5 } },
    { selector: "node.here", style: { "font-weight": 600, "font-size": 13.5, "border-width": 3, "border-color": t.ink, "outline-width": 2, "outline-color": t.ink, "outline-offset": 4, "outline-opacity": .9, "text-margin-y": 10, "z-index": 9, "text-max-width": 150 } },
    { selector: "edge", style: { "width": 1, "line-color": t.soft, "opacity": 0.45, "curve-style": "straight", "overlay-opacity": 0 } },
    { selector: "edge.near", style: { "opacity": 0.95, "width": 1.5 } },
    { selector: "edge[type = 'leans_on']", style: { "target-arrow-shape": "triangle", "target-arrow-color": t.soft, "arrow-scale": 0.8 } },
    { selector: "edge[type = 'contradicts']", style: { "line-color": t.ink, "line-style": "dashed", "line-dash-pattern": [6, 3], "target-arrow-shape": "tee", "source-arrow-shape": "tee", "target-arrow-color": t.ink, "source-arrow-color": t.ink, "width": 1.6, "opacity": .9 } },
    { selector: "edge[type = 'extends']", style: { "target-arrow-shape": "vee", "target-arrow-color": t.soft, "arrow-scale": 0.8 } },
    { selector: "edge[type = 'cites']", style: { "line-style": "dotted", "line-dash-pattern": [1, 3] } },
    { selector: "edge.near[label]", style: { "label": "data(label)", "font-size": 10.5, "color": t.soft, "text-rotation": "autorotate", "text-background-color": t.paper, "text-background-opacity": .9, "text-background-padding": 1, "font-family": "Source Sans, sans-serif", "min-zoomed-font-size": 9 } },
  ];
}

function place(graph, here) {
  const fresh = graph.nodes().filter((n) => !places.has(n.id()));
  graph.nodes().forEach((n) => { if (places.has(n.id())) n.position(places.get(n.id())).lock(); });
  if (fresh.length) {
    const c = graph.getElementById(here).nonempty() && places.get(here) || { x: 0, y: 0 };
    const known = graph.nodes().filter((n) => places.has(n.id()) && n.id() !== here);
    let away = 0;
    if (known.nonempty()) { const b = known.boundingBox({ includeLabels: false }); away = Math.atan2(c.y - (b.y1 + b.y2) / 2, c.x - (b.x1 + b.x2) / 2); }
    const span = known.nonempty() ? Math.PI * 1.2 : Math.PI * 2;
    fresh.forEach((n, i) => { // a deterministic seed: a fan on the empty side, sorted by id
      if (n.id() === here) return n.position(c);
      const a = away - span / 2 + span * (i + .5) / fresh.length, r = 150 + 50 * (i % 3);
      n.position({ x: c.x + r * Math.cos(a), y: c.y + r * Math.sin(a) * .8 });
    });
    const t0 = performance.now();
    graph.layout({ name: "cose", randomize: false, animate: false, fit: false, nodeDimensionsIncludeLabels: true, idealEdgeLength: () => 150,
      nodeRepulsion: () => 900000, edgeElasticity: () => 60, nodeOverlap: 40, gravity: .25, numIter: graph.nodes().length > 120 ? 250 : 900 }).run();
    if (fresh.length === graph.nodes().length) fresh.forEach((n) => { const q = n.position(); n.position({ x: q.x * 1.15, y: q.y * .9 }); });
    graph.scratch("layout_ms", performance.now() - t0);
  }
  graph.nodes().unlock();
  graph.nodes().forEach((n) => { places.set(n.id(), { ...n.position() }); });
}

function look(graph, here, palette) {
  graph.style(style(palette));
  const centre = graph.getElementById(here);
  graph.elements().removeClass("here near far");
  centre.addClass("here");
  const close = centre.closedNeighborhood();
  close.addClass("near");
  if (graph.nodes().length > 60) graph.nodes().not(close).addClass("far");
}

function move(graph, here) {
  const close = graph.getElementById(here).closedNeighborhood();
  if (close.empty()) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const fit = { fit: { eles: close, padding: 60 } };
  if (still) graph.fit(close, 60);
  else graph.animate(fit, { duration: 260 });
}

function mount(box, setTriggerValue) {
  const graph = cytoscape({ container: box, minZoom: 0.2, maxZoom: 2.5 });
  graph.on("onetap", "node", (event) => setTriggerValue("walk", event.target.id()));
  graph.on("dbltap", "node", (event) => walk(event.target.data("href")));
  return graph;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".net");
  let graph = graphs.get(parentElement);
  if (!graph) {
    graph = mount(box, setTriggerValue);
    graphs.set(parentElement, graph);
    window.__network = graph; // the tests of the app read it
  }
  const ids = data.elements.map((element) => element.data.id).join("|");
  const changed = graph.scratch("ids") !== ids;
  if (changed) {
    graph.json({ elements: data.elements });
    place(graph, data.here);
    graph.scratch("ids", ids);
  } else {
    for (const element of data.elements) graph.getElementById(element.data.id).data(element.data); // marks may have changed
  }
  look(graph, data.here, data.palette);
  if (changed || graph.scratch("here") !== data.here) move(graph, data.here);
  graph.scratch("here", data.here);
}
