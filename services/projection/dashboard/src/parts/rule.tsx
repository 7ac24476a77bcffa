// The rule that gave a signal, with every number in it, so that nobody has to take a colour on trust.
import type { JSX } from "preact";
import type { PeriodProgress } from "../api/schema";
import { amount, DASH, day, expectedText, gapText, number, percent } from "../texts/format";
import { localized, t } from "../texts/language";
import { SignalPill } from "./signals";

/** What is counted comes whole: less than one a month is one in so many months. */
function neededText(needed: number, left: number, { denominator }: PeriodProgress, unit: string): string {
  const months = number(left);
  const counted = denominator === null && unit !== "fen";
  if (counted && needed > 0 && needed < 1) return t("rule.needed.every", { each: number(1 / needed, 0, Math.floor), months });
  return t("rule.needed.is", { amount: expectedText({ expected: needed, denominator }, unit), months });
}

interface RuleProps {
  period: PeriodProgress;
  unit: string;
  /** What is said instead, where the whole's target is not split to the district. */
  unsplit: string | undefined;
}

export function SignalRule({ period, unit, unsplit }: RuleProps): JSX.Element {
  const { pace, target } = period;
  if (!target) return <p class="hint">{unsplit ?? t("rule.no_target")}</p>;
  if (!pace) return <p class="hint">{t("value.no_data")}</p>;
  const { forecast, rule, thresholds } = pace;
  return (
    <>
      <p>
        <SignalPill signal={period.signal} /> {localized(rule)}
      </p>
      <dl class="lines">
        <div>
          <dt>{t("rule.elapsed")}</dt>
          <dd>{percent(pace.elapsed)}</dd>
        </div>
        {pace.baseline !== null && (
          <div>
            <dt>{t("rule.baseline")}</dt>
            <dd>{amount(pace.baseline, unit)}</dd>
          </div>
        )}
        <div>
          <dt>{t("value.expected")}</dt>
          <dd>{expectedText(period, unit)}</dd>
        </div>
        <div>
          <dt>{t("rule.ratio")}</dt>
          <dd>{percent(pace.ratio)}</dd>
        </div>
        <div>
          <dt>{t("rule.gap")}</dt>
          <dd>{pace.gap === null ? DASH : gapText(pace.gap, period, unit)}</dd>
        </div>
        <div>
          <dt>{t("rule.thresholds")}</dt>
          <dd>{t("rule.thresholds.are", { green: thresholds.green_percent, amber: thresholds.amber_percent })}</dd>
        </div>
        {pace.needed_per_month !== null && (
          <div>
            <dt>{t("rule.needed")}</dt>
            <dd>{neededText(pace.needed_per_month, pace.months_left, period, unit)}</dd>
          </div>
        )}
      </dl>
      <h3>{t("forecast.title")}</h3>
      <p>
        {localized(forecast.outlook)} {forecast.reached_on && t("forecast.reached_on", { day: day(forecast.reached_on) })}
      </p>
      {forecast.value !== null && (
        <p class="hint">
          {t("forecast.range", {
            value: amount(forecast.value, unit),
            low: amount(forecast.low, unit),
            high: amount(forecast.high, unit),
            months: forecast.months,
          })}
        </p>
      )}
    </>
  );
}
