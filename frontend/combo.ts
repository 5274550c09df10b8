import { type Entry, matching } from "./matching";
import { all } from "./types";

/** Put a type-ahead over a select; the select stays what the form sends and what works without this. */
export function dressSelects(within: ParentNode): void {
  for (const select of all<HTMLSelectElement>("select[data-combo]", within)) {
    if (!select.dataset.dressed) new Combo(select);
  }
}

function entriesOf(select: HTMLSelectElement): Entry[] {
  return Array.from(select.options)
    .filter((option) => option.value)
    .map((option) => ({
      value: option.value,
      label: option.text,
      note: option.dataset.note ?? "",
      search: option.dataset.search ?? "",
      group: option.parentElement instanceof HTMLOptGroupElement ? option.parentElement.label : "",
    }));
}

class Combo {
  private readonly input = document.createElement("input");
  private readonly list = document.createElement("div");
  private readonly entries: Entry[];
  private shown: Entry[] = [];
  private active = -1;

  constructor(private readonly select: HTMLSelectElement) {
    this.entries = entriesOf(select);
    select.dataset.dressed = "yes";
    select.hidden = true;
    const box = document.createElement("div");
    box.className = "combo";
    this.input.type = "text";
    this.input.id = `${select.id}_combo`;
    this.list.id = `${select.id}_list`;
    this.input.autocomplete = "off";
    this.input.spellcheck = false;
    this.input.placeholder = select.dataset.combo ?? "";
    this.input.setAttribute("role", "combobox");
    this.input.setAttribute("aria-autocomplete", "list");
    this.input.setAttribute("aria-controls", this.list.id);
    this.list.className = "combo-list";
    this.list.setAttribute("role", "listbox");
    const label = document.querySelector<HTMLLabelElement>(`label[for="${select.id}"]`);
    if (label) {
      label.htmlFor = this.input.id;
      this.list.setAttribute("aria-label", label.textContent ?? "");
    }
    select.before(box);
    box.append(this.input, this.list, select);
    this.close();
    this.input.addEventListener("focus", () => this.input.select());
    this.input.addEventListener("click", () => this.open(""));
    this.input.addEventListener("input", (event) => {
      event.stopPropagation();
      this.open(this.input.value);
    });
    this.input.addEventListener("change", (event) => event.stopPropagation());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", () => this.close());
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const row = (event.target as HTMLElement).closest<HTMLElement>("[role=option]");
      if (row) this.choose(Number(row.dataset.index));
    });
  }

  private open(typed: string): void {
    this.shown = matching(this.entries, typed);
    this.active = typed
      ? this.shown.length
        ? 0
        : -1
      : this.shown.findIndex((entry) => entry.value === this.select.value);
    this.list.replaceChildren();
    let group = "";
    this.shown.forEach((entry, index) => {
      if (entry.group !== group) {
        group = entry.group;
        const head = document.createElement("div");
        head.className = "group";
        head.setAttribute("role", "presentation");
        head.textContent = group;
        this.list.append(head);
      }
      const row = document.createElement("div");
      row.id = `${this.list.id}_${index}`;
      row.dataset.index = String(index);
      row.setAttribute("role", "option");
      row.textContent = entry.label;
      if (entry.note) {
        const note = document.createElement("small");
        note.textContent = entry.note;
        row.append(note);
      }
      this.list.append(row);
    });
    if (!this.shown.length) {
      const none = document.createElement("div");
      none.className = "none";
      none.textContent = "Nothing is called that. Try fewer letters or a code.";
      this.list.append(none);
    }
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.mark();
  }

  private mark(): void {
    this.input.removeAttribute("aria-activedescendant");
    for (const row of all("[role=option]", this.list)) {
      const isActive = Number(row.dataset.index) === this.active;
      row.setAttribute("aria-selected", String(isActive));
      if (isActive) {
        this.input.setAttribute("aria-activedescendant", row.id);
        row.scrollIntoView({ block: "nearest" });
      }
    }
  }

  private key(event: KeyboardEvent): void {
    const isOpen = !this.list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isOpen) {
        this.open("");
        return;
      }
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.active = (this.active + step + this.shown.length) % Math.max(this.shown.length, 1);
      this.mark();
    } else if (event.key === "Enter" && isOpen) {
      event.preventDefault();
      this.choose(this.active);
    } else if (event.key === "Escape" && isOpen) {
      event.stopPropagation();
      this.close();
    }
  }

  private choose(index: number): void {
    const entry = this.shown[index];
    if (!entry) return;
    const isNew = this.select.value !== entry.value;
    this.select.value = entry.value;
    this.close();
    if (isNew) this.select.dispatchEvent(new Event("change", { bubbles: true }));
  }

  private close(): void {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
    this.input.value = this.select.value ? (this.select.selectedOptions[0]?.text ?? "") : "";
  }
}
