/** What a type-ahead finds: every word typed must begin a word of the entry, in any order. */

export interface Entry {
  value: string;
  label: string;
  note: string;
  group: string;
  search: string;
}

function words(text: string): string[] {
  return text
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);
}

export function matching(entries: ReadonlyArray<Entry>, typed: string): Entry[] {
  const wanted = words(typed);
  if (!wanted.length) return [...entries];
  return entries.filter((entry) => {
    const known = words(`${entry.label} ${entry.search} ${entry.group}`);
    return wanted.every((word) => known.some((candidate) => candidate.startsWith(word)));
  });
}
