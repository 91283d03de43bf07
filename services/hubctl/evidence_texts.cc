#include "services/hubctl/evidence_texts.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/hubctl/output.h"
#include "services/hubctl/when.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

std::string InIndia(absl::Time time) { return absl::FormatTime("%Y-%m-%d %H:%M:%E3S IST", time, IndianTime()); }

// What a person wrote could hold line breaks, and would then look like lines of ours.
std::string OneLine(const std::string& text) {
  std::string line;
  for (const char c : text) line += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  return line;
}

std::string About(const ExportFacts& facts) {
  return absl::StrCat("Identifier    ", OneLine(facts.identifier), "\nCase          ", OneLine(facts.case_ref),
                      "\nPurpose       ", OneLine(facts.purpose), "\nExported at   ", InIndia(facts.exported_at),
                      "\nAsked         ", OneLine(facts.server), "\nProgram       ", facts.program, "\n");
}

std::string CompleteUntil(const EvidenceRecords& records) {
  if (!records.explanation.has_complete_until()) return "not told by the hub";
  return InIndia(ToTime(records.explanation.complete_until()));
}

void AppendEntry(int number, const v1::HistoryEntry& entry, std::string* text) {
  const std::string event = Word(v1::EventKind_descriptor(), entry.event_kind());
  absl::StrAppendFormat(text, "%5d  %s  %s\n", number, InIndia(ToTime(entry.decided_at())),
                        event.empty() ? "no change of state" : event);
  absl::StrAppend(text, "       side ", Word(v1::Facet_descriptor(), entry.facet()), ", tenure ", entry.tenure(),
                  ", version ", entry.version(), ", level ", Word(v1::Level_descriptor(), entry.level()), "\n");
  const std::string kind = Word(v1::InputKind_descriptor(), entry.report_kind());
  if (kind.empty()) return;
  absl::StrAppend(text, "       report ", kind);
  const std::string role = Word(v1::Role_descriptor(), entry.reporter_role());
  if (!role.empty()) absl::StrAppend(text, " of ", role);
  if (!entry.reporter().empty()) absl::StrAppend(text, " (", OneLine(entry.reporter()), ")");
  const std::string outcome = Word(v1::Outcome_descriptor(), entry.outcome());
  if (!outcome.empty()) absl::StrAppend(text, ": ", outcome);
  const std::string action = Word(v1::Action_descriptor(), entry.action());
  if (!action.empty()) absl::StrAppend(text, ", action ", action);
  absl::StrAppend(text, "\n");
}

constexpr char kPartA[] = R"(
1. The record

   The files listed below hold what the hub answered about the identifier above.
   They were obtained over an authenticated connection by the program above, from
   records that the hub makes in its ordinary course: each report and each decision
   is written to an ordered log as it happens, and answers are made from that log.
   Every question that was asked is in the hub's own audit record.

2. The device or source

   [ ] computer or storage media   [ ] server   [ ] cloud   [ ] other: ____________

   Make and model:   ____________________   Serial number:  ____________________
   Other identifier: ____________________   Kept at:        ____________________

   It is  [ ] owned  [ ] maintained  [ ] managed  [ ] operated  by me.

3. Its condition

   It was under lawful control and in regular use to make, keep or process such
   information in the course of regular activities; information of this kind was fed
   into it regularly; and it was working properly throughout the period concerned, or,
   where it was not, this did not affect the record or its accuracy.

   Exceptions, if any: _____________________________________________________________
)";

constexpr char kPartB[] = R"(
1. What was examined

   The files listed below, as contained in the bundle.

2. How

   [ ] The SHA-256 of every file was computed again and agrees with the list below.
   [ ] `hubctl evidence verify` found nothing altered, missing or added.
   [ ] `sha256sum -c MANIFEST.sha256` found nothing altered or missing.
   [ ] Other: ______________________________________________________________________

3. Findings

   _________________________________________________________________________________

   _________________________________________________________________________________
)";

}  // namespace

std::string TimelineText(const ExportFacts& facts, const EvidenceRecords& records) {
  std::string text = absl::StrCat("TIMELINE\n\n", About(facts), "Complete to   ", CompleteUntil(records), "\n\n",
                                  "Times are those of the hub's decisions, in Indian Standard Time (UTC+05:30), oldest "
                                  "first. Entries that the\nexporting party may not see are not in it.\n\n");
  int number = 0;
  for (const v1::HistoryEntry& entry : records.entries) AppendEntry(++number, entry, &text);
  if (number == 0) absl::StrAppend(&text, "       (no entries)\n");
  return text;
}

std::string ReadmeText(const ExportFacts& facts, const EvidenceRecords& records) {
  std::string text = absl::StrCat(
      "EVIDENCE BUNDLE\n\n", About(facts), "Complete to   ", CompleteUntil(records), "\nEntries       ",
      records.entries.size(), "\n\n",
      "An indicator says what is suspected and who said so; it is no finding about a person.\n\n",
      "MANIFEST.sha256        SHA-256 of every other file\n", "export.json            the facts above, for programs\n",
      "timeline.txt           what happened, in Indian time\n",
      "records/*.pb           the hub's answers, byte for byte (protobuf, package fraudhub.v1)\n",
      "records/*.json         the same, readable\n",
      "certificate/part-a.txt drafts of the certificate under section 63(4) of the\n",
      "certificate/part-b.txt Bharatiya Sakshya Adhiniyam, 2023: to be completed and signed\n\n",
      "To check it:\n    hubctl evidence verify FILE --manifest HASH\nor without our program (which tells of what is "
      "altered or missing, not of what was added):\n",
      "    tar xf FILE && cd evidence && sha256sum -c MANIFEST.sha256 && sha256sum MANIFEST.sha256\n\n",
      "HASH is what the export printed. It belongs on paper, away from this file.\n\n", "The hub was asked:\n");
  for (const EvidenceRecords::Answer& answer : records.answers) {
    absl::StrAppendFormat(&text, "%s  %-24s records/%s.pb\n", InIndia(answer.asked_at), answer.method, answer.name);
  }
  return text;
}

std::string ExportJson(const ExportFacts& facts, const EvidenceRecords& records) {
  const auto utc = [](absl::Time time) { return absl::FormatTime(absl::RFC3339_full, time, absl::UTCTimeZone()); };
  std::string json =
      absl::StrCat("{\"identifier\":", JsonString(facts.identifier), ",\"case\":", JsonString(facts.case_ref),
                   ",\"purpose\":", JsonString(facts.purpose), ",\"server\":", JsonString(facts.server),
                   ",\"program\":", JsonString(facts.program), ",\"exportedAt\":\"", utc(facts.exported_at), "\"");
  if (records.explanation.has_complete_until())
    absl::StrAppend(&json, ",\"completeUntil\":\"", utc(ToTime(records.explanation.complete_until())), "\"");
  absl::StrAppend(&json, ",\"entries\":", records.entries.size(), ",\"answers\":[");
  const char* comma = "";
  for (const EvidenceRecords::Answer& answer : records.answers) {
    absl::StrAppend(&json, comma, "{\"name\":", JsonString(answer.name), ",\"method\":", JsonString(answer.method),
                    ",\"askedAt\":\"", utc(answer.asked_at), "\"}");
    comma = ",";
  }
  return json + "]}\n";
}

std::string CertificateText(char part, const ExportFacts& facts,
                            const std::vector<std::pair<std::string, std::string>>& hashes) {
  std::string text = absl::StrCat(
      "DRAFT. To be compared with the Schedule in force, completed and signed.\n\n",
      "CERTIFICATE under section 63(4) of the Bharatiya Sakshya Adhiniyam, 2023\nPART ", std::string(1, part),
      part == 'A' ? " (the person in charge of the device or of the activities concerned)\n\n" : " (the expert)\n\n",
      "I, ______________________________ , child or spouse of ______________________ ,\n",
      part == 'A' ? "residing or employed at " : "holding the post or qualification of ",
      "_________________________________________ ,\nstate to the best of my knowledge and belief:\n\n", About(facts),
      part == 'A' ? kPartA : kPartB,
      "\n4. Hash values\n\n   Algorithm:  [ ] SHA1  [x] SHA256  [ ] MD5  [ ] other: ________\n\n");
  for (const auto& [path, hash] : hashes) absl::StrAppend(&text, "   ", hash, "\n       ", path, "\n");
  absl::StrAppend(&text,
                  "\n   MANIFEST.sha256, the enclosed hash report over every file of the bundle, as printed at the\n",
                  "   export (it covers this draft too, so it can't be printed in it):\n\n",
                  "   ____________________________________________________________________\n\n\n",
                  "Name and designation:  ______________________________\n\n",
                  "Signature:             ______________________________\n\n",
                  "Date (DD/MM/YYYY): ____/____/________   Time (IST, 24 hours): ____:____   Place: ______________\n");
  return text;
}

}  // namespace hub::hubctl
