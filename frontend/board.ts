import { hourLabels, isDragging, putBack, slotHeight, startDragging } from "./drag";
import { closePanel, isBusy, openCase, openForm, panel, tell } from "./panel";
import { ageWords, atClasses, clockOf, type Direction, formTime, neighbour } from "./slots";
import { all, one } from "./types";

const EVERY = 5_000;
const ARROWS: Record<string, Direction> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
};

let etag = "";
let loadedAt = answeredAt();
let isAsking = false;

/** When the server began to answer with this page; a page that came slowly, or out of the history, is older than its scripts. */
function answeredAt(): number {
  const [visit] = performance.getEntriesByType("navigation");
  return visit instanceof PerformanceNavigationTiming ? visit.requestStart : performance.now();
}

function board(): HTMLElement | null {
  return one("#board");
}

/** One tab stop for the whole grid; arrows go on from there. */
function dress(): void {
  const bars = all<HTMLAnchorElement>(".bar");
  const first = bars.find((bar) => bar.classList.contains("is-selected")) ?? bars[0];
  for (const bar of bars) bar.tabIndex = bar === first ? 0 : -1;
}

function scroller(): HTMLElement | null {
  return one("[data-keep-scroll]");
}

/** Begin where the day is: an hour before now, or at the first case. */
function scrollToDay(): void {
  const place = scroller();
  const mark = one(".col .now") ?? one(".bar");
  const lane = mark?.closest<HTMLElement>(".lane");
  if (!place || !mark || !lane) return;
  place.scrollTop = Math.max(0, mark.offsetTop - slotHeight(lane) * 14);
}

/** Take over what others changed, keeping scroll, focus, the panel being filled in and a bar in the air. */
function take(html: string): void {
  const fresh = one("#board", new DOMParser().parseFromString(html, "text/html"));
  const old = board();
  if (!fresh || !old) return;
  const place = scroller();
  const at = { top: place?.scrollTop ?? 0, left: place?.scrollLeft ?? 0 };
  const active = document.activeElement;
  const focused = active instanceof HTMLElement && old.contains(active) ? active : null;
  const focusedCase = focused?.dataset.case;
  const lane = focused?.closest<HTMLElement>(".lane")?.dataset.resource;
  const oldPanel = panel();
  const keep = oldPanel && (isBusy() || (focused && oldPanel.contains(focused)));
  const adopted = document.importNode(fresh, true);
  if (keep) one("#case-panel", adopted)?.replaceWith(oldPanel);
  old.replaceWith(adopted);
  window.htmx?.process(adopted);
  document.dispatchEvent(new CustomEvent("htmx:load", { detail: { elt: adopted } }));
  dress();
  const next = scroller();
  if (next) {
    next.scrollTop = at.top;
    next.scrollLeft = at.left;
  }
  if (keep && focused) focused.focus({ preventScroll: true });
  else if (focusedCase) {
    const inLane = lane ? one(`.lane[data-resource="${lane}"] .bar[data-case="${focusedCase}"]`) : null;
    (inLane ?? one(`.bar[data-case="${focusedCase}"]`))?.focus({ preventScroll: true });
  } else if (focused?.id) document.getElementById(focused.id)?.focus({ preventScroll: true });
}

async function poll(): Promise<void> {
  if (isAsking || document.hidden || isDragging()) return;
  isAsking = true;
  try {
    const headers: Record<string, string> = { "X-Clinic-Poll": "1", "HX-Request": "true", "HX-Target": "board" };
    if (etag) headers["If-None-Match"] = etag;
    const askedAt = performance.now();
    const response = await fetch(location.pathname + location.search, {
      headers,
      credentials: "same-origin",
      cache: "no-store",
    });
    if (response.headers.get("HX-Redirect") || response.redirected || response.status === 401) {
      location.reload();
      return;
    }
    if (response.status === 304) loadedAt = askedAt;
    else if (response.ok) {
      const html = await response.text();
      if (isDragging()) return;
      etag = response.headers.get("ETag") ?? "";
      loadedAt = askedAt;
      take(html);
    }
  } catch {
    // No connection: the age beside the title says how old the picture is.
  } finally {
    isAsking = false;
    showAge();
  }
}

function showAge(): void {
  const place = one("#age");
  if (!place) return;
  const seconds = (performance.now() - loadedAt) / 1000;
  place.textContent = ageWords(seconds);
  place.classList.toggle("is-old", seconds > 30);
}

/** A press on an empty place offers to book there. */
function offer(lane: HTMLElement, event: MouseEvent): void {
  one(".place")?.remove();
  const slot = Math.floor((event.clientY - lane.getBoundingClientRect().top) / slotHeight(lane) / 3) * 3;
  const clock = clockOf(slot, hourLabels());
  const link = document.createElement("a");
  const address = new URL(lane.dataset.book ?? "", location.href);
  address.searchParams.set("time", formTime(clock));
  link.href = address.pathname + address.search;
  link.className = ["place", ...atClasses(slot), "for-h0", "for-m6"].join(" ");
  link.textContent = `+ Book ${clock}`;
  lane.append(link);
  link.focus({ preventScroll: true });
}

function onClick(event: MouseEvent): void {
  const target = event.target as Element;
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!isPlain) return;
  const link = target.closest<HTMLAnchorElement>("[data-panel]");
  if (link) {
    event.preventDefault();
    if (isDragging()) putBack();
    void openCase(link);
    return;
  }
  if (target.closest("[data-close-panel], [data-keep-place]") && panel()?.contains(target)) {
    event.preventDefault();
    putBack();
    closePanel();
    return;
  }
  const form = target.closest<HTMLAnchorElement>("[data-into-panel]");
  if (form) {
    event.preventDefault();
    void openForm(form.href, `${form.dataset.act ?? "move"}-form`);
    return;
  }
  if (target instanceof HTMLElement && target.matches(".lane[data-book]")) offer(target, event);
  else if (!target.closest(".place")) one(".place")?.remove();
}

function onKey(event: KeyboardEvent): void {
  if (event.key === "Escape") {
    one(".place")?.remove();
    putBack();
    closePanel();
    return;
  }
  const bar = (event.target as Element).closest?.<HTMLAnchorElement>(".bar");
  if (!bar || event.ctrlKey || event.metaKey || event.altKey) return;
  const direction = ARROWS[event.key];
  if (direction) {
    const bars = all<HTMLAnchorElement>(".bar");
    const boxes = bars.map((other) => other.getBoundingClientRect());
    const next = bars[neighbour(boxes, bars.indexOf(bar), direction)];
    event.preventDefault();
    if (!next) return;
    bar.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
  } else if (event.key.toLowerCase() === "m" && board()?.dataset.mayMove !== undefined) {
    event.preventDefault();
    void openForm(bar.dataset.move ?? "", "move-form");
  }
}

function start(): void {
  const place = board();
  if (!place) return;
  etag = `"${place.dataset.etag ?? ""}"`;
  dress();
  scrollToDay();
  startDragging();
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
  document.addEventListener("visibilitychange", () => void poll());
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) void poll();
  });
  // The server has noted that this case was opened, so the next poll, which shows it too, is not a second reading.
  document.addEventListener("clinic:opened", (event) => {
    etag = `"opened-${(event as CustomEvent<string>).detail}"`;
  });
  window.addEventListener("popstate", () => {
    etag = "";
    putBack();
    panel()?.replaceChildren();
    void poll();
  });
  document.addEventListener("clinic:changed", (event) => {
    putBack();
    const changed = (event as CustomEvent<{ case?: string } | null>).detail?.case;
    if (changed) {
      const address = new URL(location.href);
      address.searchParams.set("case", changed);
      history.replaceState({}, "", address);
    }
    etag = "";
    tell("Done. The board is up to date.");
    void poll();
  });
  window.setInterval(() => void poll(), EVERY);
  window.setInterval(showAge, 1_000);
  showAge();
}

start();
