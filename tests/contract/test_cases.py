"""Cases from the field, F01 to F54: each has its right value as a test, and no input of a case lies about untested."""

import re
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from deploy.kafka.topics import reports
from deploy.secrets.certificates import make

ROOT: Final = Path(__file__).parents[2]
# Those that are missing here (F42 to F45, F49 to F52) were right when they were tried.
CASES: Final = {
    "F01": "unit/test_client_journal.py::test_a_new_journal_learns_from_the_service_that_a_row_was_mended"
    " integration/test_client_answers.py::"
    "test_a_changed_row_under_its_old_id_is_refused_each_time_and_corrected_on_request",
    "F02": "unit/test_client_cases.py::test_a_row_whose_first_cell_begins_with_a_hash_is_data",
    "F03": "unit/test_client_cases.py::"
    "test_the_sheets_that_are_not_read_are_named_and_a_hidden_one_is_never_read_unasked",
    "F04": "unit/test_client_cases.py::test_a_merged_cell_counts_for_every_row_that_it_covers",
    "F05": "unit/test_client_cases.py::test_a_row_of_another_width_than_the_header_is_named",
    "F06": "unit/test_client_cases.py::test_a_number_of_a_thing_that_lost_digits_is_named_also_in_an_id",
    "F07": "unit/test_client_cases.py::test_a_number_of_a_thing_that_became_a_date_is_named_also_in_an_id",
    "F08": "unit/test_client_cases.py::test_one_payment_and_one_fair_have_one_id_in_every_kind_of_file",
    "F09": "unit/test_client_cases.py::test_amounts_have_the_unit_that_their_header_names",
    "F10": "integration/test_client_answers.py::test_what_is_invalid_or_refused_is_named_each_time",
    "F11": "unit/test_identity_numbers.py::test_an_attribute_has_a_name_of_cloudevents_and_none_like_corrects"
    " unit/test_identity_numbers.py::test_a_misspelt_corrects_is_seen_in_a_header_too",
    "F12": "unit/test_client_cases.py::test_a_formula_without_a_value_is_named",
    "F13": "unit/test_identity_numbers.py::test_a_number_in_the_place_of_a_credit_code_is_no_credit_code"
    " unit/test_envelope.py::test_an_id_or_source_that_contains_an_identity_number_is_invalid",
    "F14": "integration/test_door.py::test_the_same_event_structured_and_binary_is_the_same",
    "F15": "unit/test_identity_numbers.py::test_a_valid_resident_number_is_one_whatever_it_is_called",
    "F16": "unit/test_client_cases.py::test_rows_that_are_filtered_out_are_asked_about",
    "F17": "unit/test_client_cases.py::test_rows_that_a_stray_quote_has_joined_are_named_and_counted",
    "F18": "unit/test_same_content.py::test_the_same_content_under_another_id_is_flagged",
    "F19": "unit/test_ledger_shapes.py::test_facts_of_a_former_code_count_for_its_successor_in_every_period"
    " integration/test_projection.py::"
    "test_a_change_of_plans_that_takes_facts_out_says_how_many_and_waits_until_it_is_accepted",
    "F20": "integration/test_local_pair.py::test_a_topic_with_other_settings_is_mended_and_named",
    "F21": "unit/test_briefing.py::test_a_value_short_of_its_target_never_reads_as_the_target",
    "F22": "unit/test_briefing.py::test_money_is_in_yuan_everywhere_value_and_target_alike",
    "F23": "unit/test_client_cases.py::test_the_escapes_of_a_workbook_are_the_characters_that_they_mean",
    "F24": "unit/test_clocks.py::test_what_lies_ahead_goes_by_the_later_clock",
    "F25": "integration/test_client_answers.py::"
    "test_what_is_no_longer_in_the_file_is_named_and_taken_back_on_request",
    "F26": "unit/test_client_cases.py::test_the_date_formats_of_chinese_editions_are_dates",
    "F27": "unit/test_client_cases.py::test_a_time_without_an_offset_is_beijing_time",
    "F28": "unit/test_identity_numbers.py::test_a_listed_credit_code_is_taken_wherever_a_credit_code_stands",
    "F29": "unit/test_client_cases.py::test_workbooks_of_odd_styles_are_read_and_a_chart_is_none",
    "F30": "unit/test_client_cases.py::test_headers_of_a_hash_of_two_rows_and_with_unused_names_twice_are_headers",
    "F31": "unit/test_client_cases.py::test_text_that_was_protected_from_a_spreadsheet_is_the_text_inside",
    "F32": "unit/test_client_cases.py::test_dust_is_rounded_and_half_a_fen_refused",
    "F33": "integration/test_client_answers.py::test_a_file_that_breaks_off_says_what_was_sent_and_waits_for_it",
    "F34": "unit/test_client_failures.py::test_a_file_without_reports_is_not_well",
    "F35": "unit/test_client_failures.py::"
    "test_every_command_trusts_the_same_authority_and_says_where_a_certificate_is_not_trusted"
    " unit/test_client_failures.py::test_every_command_goes_by_the_same_proxy_and_names_it",
    "F36": "contract/test_cases.py::test_a_container_is_healthy_by_tls_as_it_is_without",
    "F37": "unit/test_plan.py::test_reports_wait_as_long_as_the_plan_of_their_district_says",
    "F38": "unit/test_planning.py::test_who_asks_and_who_approves_differ_by_credential_and_by_name",
    "F39": "unit/test_unreadable.py::test_the_sender_is_told_what_was_seen_first",
    "F40": "contract/test_cases.py::test_a_browser_that_runs_no_module_shows_a_sentence",
    "F41": "unit/test_briefing.py::test_csv_opens_in_a_spreadsheet_as_it_stands",
    "F46": "contract/test_cases.py::test_a_segment_of_reports_ends_long_before_they_are_deleted",
    "F47": "unit/test_planning.py::test_months_are_calendar_months_of_a_plan_that_begins_in_february_too",
    "F48": "integration/test_settings.py::"
    "test_a_pooler_in_transaction_mode_is_named_and_one_in_session_mode_is_used",
    "F53": "integration/test_faults.py::test_what_outlived_its_retention_unread_is_said_to_its_sender_once",
    "F54": "unit/test_client_cases.py::test_the_line_that_names_the_separator_is_understood",
}  # fmt: skip


def test_every_case_has_its_right_value_as_a_test() -> None:
    for place in " ".join(CASES.values()).split():
        file, _, name = place.partition("::")
        assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / file).read_text("utf-8"), re.MULTILINE), place


def test_every_input_of_a_case_is_used() -> None:
    text = "".join(
        file.read_text("utf-8") for file in (ROOT / "tests").glob("*/test_client_*.py") if file.name != "test_cases.py"
    )
    for folder in (ROOT / "tests").glob("**/cases/F*"):
        assert folder.name in CASES
        for file in folder.glob("*"):
            assert file.suffix == ".yaml" or file.name in text or f"{folder.name}/" in text, file


def test_a_container_is_healthy_by_tls_as_it_is_without(tmp_path: Path) -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    (program,) = re.findall(r'^  CMD \["python", "-I", "-S", "-c", "(.*)"\]$', text, re.MULTILINE)
    made = make(["127.0.0.1"])
    (tmp_path / "server.pem").write_bytes(made.server)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(tmp_path / "server.pem")

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if ready else 503)
            self.end_headers()
            self.wfile.write(b"not well")

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests clean."""

    for tls in (None, trust):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Ready)
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        settings = {"SKILLPLAN_PORT": str(server.server_port)} | ({"SKILLPLAN_TLS_CERT": "server.pem"} if tls else {})
        for ready in (True, False):
            done = subprocess.run(
                [sys.executable, "-I", "-S", "-c", program.encode().decode("unicode_escape")],
                env=settings, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stderr.strip()) == ((0, "") if ready else (1, "not well"))
        server.shutdown()
        server.server_close()


def test_a_browser_that_runs_no_module_shows_a_sentence() -> None:
    page = (ROOT / "services" / "projection" / "dashboard" / "index.html").read_text(encoding="utf-8")
    before, _, _ = page.partition("<script")
    assert "此浏览器可能过旧" in before
    assert "This browser may be too old" in before


def test_a_segment_of_reports_ends_long_before_they_are_deleted() -> None:
    config = reports("recruitment", "330681").config
    assert int(config["segment.ms"]) * 10 < int(config["retention.ms"])
    assert int(config["retention.bytes"]) > 2**30  # no honest district fills it, and no other fills the disk of all
