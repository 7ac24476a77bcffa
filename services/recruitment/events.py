"""The published language of recruitment: fairs and hires (VOCABULARY 3)."""

from typing import Literal

from shared.events import Ends, Event, Language, Opens
from shared.shapes import Count, Date, Level, No, OccupationCode, Organisation, Person, Province, Text


class FairHeld(Event, subject="fair/<no>", role=Opens(), dated="held_on"):
    """A job fair or exchange that took place (measure 4.1)."""

    name: Text
    kind: Literal["job-fair", "exchange", "school-enterprise"]
    province: Province
    held_on: Date
    enterprises: Count
    jobs: Count


class FairCancelled(Event, subject="fair/<no>", role=Ends("fair-held", voids=True)):
    """The fair did not take place after all; it counts in no period (RULES C5)."""

    reason: Text


class PersonHired(Event, subject="hire/<no>", role=Opens(again=True), dated="hired_on"):
    """A person began work at an enterprise (measure 4.1)."""

    person: Person
    enterprise: Organisation
    channel: Literal["gold-blue-collar", "school-enterprise", "other"]
    fair_no: No | None = None
    occupation_code: OccupationCode
    level: Level | None = None
    hired_on: Date


class HireEnded(Event, subject="hire/<no>", role=Ends("person-hired"), dated="ended_on"):
    """The employment ended; the hire still counts."""

    ended_on: Date
    reason: Text | None = None


RecruitmentEvent = FairHeld | FairCancelled | PersonHired | HireEnded
LANGUAGE = Language("recruitment", RecruitmentEvent)
