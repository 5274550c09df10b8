/** The board's arithmetic: 5-minute slots from the first line drawn, and who stands beside whom. */

export const STEP = 5;

/** Which classes put an element at a slot, the same as the server's `at` filter. */
export function atClasses(slot: number): string[] {
  const hours = Math.floor(slot / 12);
  const steps = slot % 12;
  return steps ? [`at-h${hours}`, `at-m${steps}`] : [`at-h${hours}`];
}

/** The wall clock of a slot, read off the nearest full hour the server has labelled (a day may have 23 or 25 hours). */
export function clockOf(slot: number, hours: ReadonlyArray<{ slot: number; label: string }>): string {
  let best: { slot: number; label: string } | undefined;
  for (const hour of hours) {
    if (hour.slot <= slot && (!best || hour.slot > best.slot)) best = hour;
  }
  const base = best ?? { slot: 0, label: "0:00" };
  const minutes = Number.parseInt(base.label, 10) * 60 + (slot - base.slot) * STEP;
  const day = ((minutes % 1440) + 1440) % 1440;
  return `${Math.floor(day / 60)}:${String(day % 60).padStart(2, "0")}`;
}

/** The slot that a dragged bar's top falls on, kept inside the lane. */
export function snapped(top: number, slotHeight: number, span: number, count: number): number {
  const slot = Math.round(top / slotHeight);
  return Math.max(0, Math.min(slot, Math.max(0, count - span)));
}

/** 8:15 as a form wants it: 08:15. */
export function formTime(clock: string): string {
  return clock.padStart(5, "0");
}

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export type Direction = "left" | "right" | "up" | "down";

/** The index of the nearest box in a direction, or -1. Sideways the nearest column counts first, then the nearest time. */
export function neighbour(boxes: ReadonlyArray<Box>, from: number, direction: Direction): number {
  const own = boxes[from];
  if (!own) return -1;
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  boxes.forEach((box, index) => {
    if (index === from) return;
    const across = box.left - own.left;
    const along = box.top - own.top;
    const isSameColumn = Math.abs(across) < Math.min(box.width, own.width) / 2;
    let cost: number;
    if (direction === "up" || direction === "down") {
      if (!isSameColumn || (direction === "down" ? along <= 0 : along >= 0)) return;
      cost = Math.abs(along);
    } else {
      if (isSameColumn || (direction === "right" ? across <= 0 : across >= 0)) return;
      cost = Math.abs(across) * 1000 + Math.abs(along);
    }
    if (cost < least) {
      least = cost;
      best = index;
    }
  });
  return best;
}

/** How old the data are, in words. */
export function ageWords(seconds: number): string {
  if (seconds < 2) return "updated just now";
  if (seconds < 60) return `updated ${Math.floor(seconds)} s ago`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `updated ${minutes} min ago` : `updated ${Math.floor(minutes / 60)} h ago`;
}

/** What is left of a hold, as 9:41. */
export function leftWords(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
