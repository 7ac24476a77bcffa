// The head of every page: the name, the pages, and the switches of theme, printing and language.
import type { JSX } from "preact";
import { hasKey, signOut } from "../api/client";
import { type Key, language, setLanguage, t } from "../texts/language";
import { type Address, linkTo, type Page } from "./address";
import { currentTheme, setTheme, type Theme, THEMES } from "./theme";

const NAVIGATION: [Page, Key][] = [
  ["overview", "nav.overview"],
  ["districts", "nav.districts"],
  ["bodies", "nav.bodies"],
  ["tables", "nav.tables"],
  ["forms", "nav.forms"],
  ["receipts", "nav.receipts"],
  ["closings", "nav.closings"],
  ["targets", "nav.targets"],
  ["health", "nav.health"],
];
const THEME_TEXTS: Record<Theme, Key> = {
  system: "switch.theme.system",
  light: "switch.theme.light",
  dark: "switch.theme.dark",
};

/** `redraw` draws the whole page again, in another language or theme. */
export function Header({ address, redraw }: { address: Address; redraw: () => void }): JSX.Element {
  const theme = currentTheme();
  return (
    <header class="top">
      <Brand />
      <nav aria-label={t("nav.pages")}>
        {NAVIGATION.map(([page, text]) => (
          <a key={page} href={linkTo(address, page)} aria-current={address.page === page ? "page" : undefined}>
            {t(text)}
          </a>
        ))}
      </nav>
      <div class="switches">
        <button
          type="button"
          class="icon"
          title={t(THEME_TEXTS[theme])}
          aria-label={t(THEME_TEXTS[theme])}
          onClick={() => {
            setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!);
            redraw();
          }}
        >
          <ThemeIcon theme={theme} />
        </button>
        <button type="button" class="icon print" title={t("switch.print")} aria-label={t("switch.print")} onClick={() => window.print()}>
          <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
            <path d="M6 7V3h8v4M6 15H3.5V8.5a1.5 1.5 0 0 1 1.5-1.500h10a1.5 1.5 0 0 1 1.5 1.500V15H14M6 12h8v5H6z" />
          </svg>
        </button>
        <button
          type="button"
          lang={language() === "zh" ? "en" : "zh-CN"}
          aria-label={t("switch.language.label")}
          onClick={() => {
            setLanguage(language() === "zh" ? "en" : "zh");
            redraw();
          }}
        >
          {t("switch.language")}
        </button>
        {hasKey() && (
          <button type="button" onClick={() => void signOut()}>
            {t("switch.sign_out")}
          </button>
        )}
      </div>
    </header>
  );
}

export function Brand(): JSX.Element {
  return (
    <span class="brand">
      <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M7 22.500h4.500V17H7zm6.75 0h4.500V12h-4.500zm6.75 0H25V7h-4.500z" />
      </svg>
      <span>{t("app.name")}</span>
    </span>
  );
}

function ThemeIcon({ theme }: { theme: Theme }): JSX.Element {
  const paths: Record<Theme, string> = {
    system: "M3 4.500h14v9H3zM7 17h6M10 13.500V17",
    light: "M10 6.500a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M10 1.500v2M10 16.500v2M1.5 10h2M16.5 10h2M4 4l1.4 1.400M14.6 14.600L16 16M16 4l-1.4 1.400M5.4 14.600L4 16",
    dark: "M16.5 11.500A7 7 0 1 1 8.5 3.500a5.5 5.5 0 0 0 8 8z",
  };
  return (
    <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
      <path d={paths[theme]} />
    </svg>
  );
}
