// Which column of a table fills which field, remembered for a key and a header: names of columns, nothing of any row.
import type { CheckedTable, ColumnUse } from "../api/tables";

const STORAGE_KEY = "skillplan-columns";
const MOST = 30;
const LONGEST_WORD = 12;

type Remembered = Record<string, Record<string, ColumnUse>>;

function all(): Remembered {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}") as Remembered;
  } catch {
    return {};
  }
}

function nameOf(key: string, type: string, headers: string[]): string {
  return [key, type, ...headers].join("|");
}

/** What was chosen for such a table before; null where nothing was. */
export function rememberedUses(key: string, type: string | null, headers: string[]): Record<string, ColumnUse> | null {
  return type === null ? null : (all()[nameOf(key, type, headers)] ?? null);
}

/** Keep what was chosen for a table whose rows were right by it. Values that a person wrote for every row are left out,
 * unless they are of a list; and so is a word that could be a name or a number. */
export function rememberUses(key: string, table: CheckedTable): void {
  if (table.type === null) return;
  const uses = table.columns.map(({ column, choices, use }): [string, ColumnUse] => {
    const meanings = Object.fromEntries(Object.entries(use.meanings).filter(([word]) => choices.length > 0 && word.length <= LONGEST_WORD && !/\d{6}/.test(word)));
    return [column, { ...use, meanings, constant: choices.length > 0 ? use.constant : null }];
  });
  const others = Object.entries(all()).filter(([name]) => name !== nameOf(key, table.type!, table.headers));
  localStorage.setItem(STORAGE_KEY, JSON.stringify(Object.fromEntries([...others.slice(1 - MOST), [nameOf(key, table.type, table.headers), Object.fromEntries(uses)]])));
}
