import interact from "interactjs";
import { ask, showInPanel, tell } from "./panel";
import { clockOf, formTime, snapped } from "./slots";
import { all, one } from "./types";

/** Dragging and stretching. The server is asked before anything is kept; its form, filled in, is the confirmation. */

interface Drop {
  bar: HTMLElement;
  lane: HTMLElement;
  slot: number;
  minutes: number;
}

let current: HTMLElement | null = null;

/** Is a bar in the air, or dropped and not yet confirmed? */
export function isDragging(): boolean {
  return current !== null;
}

function board(): HTMLElement | null {
  return one("#board");
}

export function hourLabels(): Array<{ slot: number; label: string }> {
  return all(".gutter .hour").map((hour) => ({ slot: slotOf(hour), label: hour.textContent ?? "" }));
}

function slotOf(element: Element): number {
  let slot = 0;
  for (const name of element.classList) {
    if (name.startsWith("at-h")) slot += 12 * Number(name.slice(4));
    else if (name.startsWith("at-m")) slot += Number(name.slice(4));
  }
  return slot;
}

export function slotHeight(lane: HTMLElement): number {
  return lane.clientHeight / Number(board()?.dataset.slots ?? "132");
}

function laneUnder(x: number, bar: HTMLElement): HTMLElement | null {
  const own = bar.closest<HTMLElement>(".lane");
  for (const lane of all(".lane[data-resource]")) {
    const box = lane.getBoundingClientRect();
    if (x >= box.left && x < box.right) return lane;
  }
  return own;
}

function label(bar: HTMLElement, text: string): void {
  let place = one(".drag-time", bar);
  if (!place) {
    place = document.createElement("span");
    place.className = "drag-time";
    bar.append(place);
  }
  place.textContent = text;
}

/** Let a bar leave its lane, which otherwise is drawn for itself alone and cuts off what stands out. */
function lift(bar: HTMLElement): void {
  current = bar;
  bar.classList.add("is-dragging");
  bar.closest(".lane")?.classList.add("is-lifted");
}

/** Put the bar back where the server last said it is. */
export function putBack(): void {
  const bar = current;
  current = null;
  if (!bar) return;
  bar.classList.remove("is-dragging", "is-waiting");
  bar.classList.add("is-back");
  bar.style.removeProperty("transform");
  bar.style.removeProperty("height");
  bar.style.removeProperty("width");
  one(".drag-time", bar)?.remove();
  for (const lane of all(".lane.is-target")) lane.classList.remove("is-target");
  window.setTimeout(() => {
    bar.classList.remove("is-back");
    if (current !== bar) bar.closest(".lane")?.classList.remove("is-lifted");
  }, 200);
}

async function drop({ bar, lane, slot, minutes }: Drop): Promise<void> {
  const kind = lane.dataset.kind ?? "physician";
  const body = new URLSearchParams({
    act: "preview",
    version: bar.dataset.version ?? "",
    request_key: crypto.randomUUID().replaceAll("-", ""),
    day: board()?.dataset.day ?? "",
    time: formTime(clockOf(slot, hourLabels())),
    minutes: String(minutes),
    [kind]: lane.dataset.resource ?? "",
  });
  bar.classList.remove("is-dragging");
  bar.classList.add("is-waiting");
  const response = await ask(bar.dataset.move ?? "", "move-form", body).catch(() => null);
  if (!response || response.status >= 500 || response.headers.get("HX-Redirect")) {
    putBack();
    tell("The server did not answer. The case stays where it was.");
    return;
  }
  const html = await response.text();
  if (response.ok) {
    bar.classList.remove("is-waiting");
    showInPanel(html);
    one<HTMLElement>("#announce")?.replaceChildren("Free. Confirm the move at the right, or leave it where it was.");
    return;
  }
  putBack();
  if (response.status === 409 || response.status === 422) {
    showInPanel(html);
    tell(one("#move-form [data-refusal]")?.dataset.refusal ?? "Not possible there. The case stays where it was.");
  } else {
    tell("You may not move this case. It stays where it was.");
  }
}

export function startDragging(): void {
  const isCoarse = matchMedia("(pointer: coarse)").matches;
  let startTop = 0;
  let x = 0;
  let y = 0;
  let goal: { lane: HTMLElement; slot: number } | null = null;
  let span = 1;

  const movable = (bar: Element) =>
    Boolean(board()?.dataset.mayMove !== undefined && bar.matches(".s-booked, .s-confirmed"));

  interact(".lane .bar")
    .draggable({
      hold: isCoarse ? 320 : 0,
      autoScroll: { container: ".grid-scroll" as unknown as HTMLElement, margin: 48, speed: 500 },
      listeners: {
        start(event: Interact.InteractEvent) {
          const bar = event.target as HTMLElement;
          if (current && current !== bar) putBack();
          if (!movable(bar)) {
            event.interaction.stop();
            return;
          }
          lift(bar);
          const lane = bar.closest<HTMLElement>(".lane");
          startTop = lane ? slotOf(bar) * slotHeight(lane) : 0;
          span = lane ? Math.max(1, Math.round(bar.offsetHeight / slotHeight(lane))) : 1;
          x = 0;
          y = 0;
          goal = null;
        },
        move(event: Interact.InteractEvent) {
          const bar = event.target as HTMLElement;
          const own = bar.closest<HTMLElement>(".lane");
          if (!own || current !== bar) return;
          x += event.dx;
          y += event.dy;
          const lane = laneUnder(event.clientX, bar) ?? own;
          const height = slotHeight(lane);
          const slot = snapped(startTop + y, height, span, Number(board()?.dataset.slots ?? "132"));
          goal = { lane, slot };
          const across = lane.getBoundingClientRect().left - own.getBoundingClientRect().left;
          bar.style.transform = `translate(${across}px, ${slot * height - startTop}px)`;
          for (const other of all(".lane.is-target")) if (other !== lane) other.classList.remove("is-target");
          lane.classList.add("is-target");
          label(bar, `${clockOf(slot, hourLabels())} ${lane === own ? "" : (lane.dataset.name ?? "")}`);
        },
        end(event: Interact.InteractEvent) {
          const bar = event.target as HTMLElement;
          if (current !== bar) return;
          // The press that ends a drag must not open the case.
          bar.addEventListener("click", swallow, { capture: true, once: true });
          window.setTimeout(() => bar.removeEventListener("click", swallow, { capture: true }), 50);
          const own = bar.closest<HTMLElement>(".lane");
          const place = goal;
          if (!place || !own || (place.lane === own && place.slot === slotOf(bar))) return putBack();
          void drop({ bar, ...place, minutes: Number(bar.dataset.minutes) });
        },
      },
    })
    .resizable({
      edges: { bottom: true, top: false, left: false, right: false },
      margin: 5,
      enabled: !isCoarse,
      listeners: {
        start(event: Interact.InteractEvent) {
          const bar = event.target as HTMLElement;
          if (current && current !== bar) putBack();
          if (!movable(bar)) {
            event.interaction.stop();
            return;
          }
          lift(bar);
        },
        move(event: Interact.ResizeEvent) {
          const bar = event.target as HTMLElement;
          const lane = bar.closest<HTMLElement>(".lane");
          if (!lane || current !== bar) return;
          const height = slotHeight(lane);
          const slots = Math.max(1, Math.round(event.rect.height / height));
          bar.style.height = `${slots * height}px`;
          label(bar, `until ${clockOf(slotOf(bar) + slots, hourLabels())}`);
        },
        end(event: Interact.ResizeEvent) {
          const bar = event.target as HTMLElement;
          const lane = bar.closest<HTMLElement>(".lane");
          if (!lane || current !== bar) return;
          bar.addEventListener("click", swallow, { capture: true, once: true });
          window.setTimeout(() => bar.removeEventListener("click", swallow, { capture: true }), 50);
          const change = Math.round(bar.offsetHeight / slotHeight(lane)) - Number(bar.dataset.span ?? "0");
          const minutes = Math.max(5, Number(bar.dataset.minutes) + change * 5);
          if (change === 0) return putBack();
          void drop({ bar, lane, slot: Number(bar.dataset.starts ?? slotOf(bar)), minutes });
        },
      },
    });
}

function swallow(event: Event): void {
  event.preventDefault();
  event.stopImmediatePropagation();
}
