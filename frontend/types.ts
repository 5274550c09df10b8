/** What we use of htmx, which comes as its own script before ours. */
export interface Htmx {
  process(element: Element): void;
  trigger(element: Element, name: string): void;
}

declare global {
  interface Window {
    htmx?: Htmx;
  }
}

export function all<T extends Element = HTMLElement>(selector: string, within: ParentNode = document): T[] {
  return Array.from(within.querySelectorAll<T>(selector));
}

export function one<T extends Element = HTMLElement>(selector: string, within: ParentNode = document): T | null {
  return within.querySelector<T>(selector);
}
