#include "services/query/board_pages.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "fraudhub/v1/vocabulary.pb.h"
#include "libs/rpc/proto_time.h"
#include "libs/wire/board_line.h"
#include "services/query/board_fields.h"

namespace hub::query {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr size_t kLinesMax = 250;  // stakeholders; the others, who ask for less attention, are counted
constexpr int kNamesMax = 12;      // who has not confirmed a correction; the others are counted
constexpr absl::Duration kLate = absl::Minutes(1);
constexpr absl::Duration kOld = absl::Seconds(10);  // data age that is worth a colour

constexpr Pattern kFrame(R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
$0<title>$1 - Fraud Intelligence Hub</title>
<link rel="stylesheet" href="/board.css">
</head>
<body>
<header><strong>Fraud Intelligence Hub</strong><nav><a href="/">Board</a> <a href="/lookup">Look up</a></nav>
<span>$2<br>$3 IST</span></header>
<main>
<h1>$1</h1>
$4</main>
</body>
</html>
)");
constexpr Pattern kRefresh("<meta http-equiv=\"refresh\" content=\"60\">\n");  // nothing is asked of who only looks

constexpr Pattern kPurposeFields(
    R"(<label>Why you look, a short code <input name="purpose" maxlength="64" required></label>
<label>Case, if there is one <input name="case_ref" maxlength="64"></label>
)");

std::string Framed(const PageFrame& frame, const Html& refresh, const Html& title, const Html& content) {
  return Markup(kFrame, {refresh, title, frame.caller, IndianTime(frame.now), content}).str();
}

Html Tile(const Html& name, const Html& value, const Html& tone = {}) {
  return Markup("<div class=\"tile $2\"><span>$0</span><b>$1</b></div>\n", {name, value, tone});
}

Html Ago(absl::Time now, absl::Time then) { return rpc::IsFinite(then) ? Html(wire::RoughAge(now - then)) : Html(); }

Html Tiles(const PageFrame& frame, const Overview& overview, const std::vector<wire::BoardLine>& lines) {
  const absl::Duration age = frame.now - overview.complete_until;
  Html tiles = Tile("Data age", rpc::IsFinite(overview.complete_until) ? wire::RoughAge(age) : "never complete yet",
                    age > kOld ? "warn" : "");
  if (overview.numbers) {
    const v1::GetStateDigestResponse& numbers = *overview.numbers;
    tiles += Tile("Reports", absl::StrCat(numbers.reports()));
    tiles += Tile("Indicators", absl::StrCat(numbers.indicators()));
    for (int level = v1::LEVEL_VERY_HIGH; level >= v1::LEVEL_NONE; --level) {
      const auto count = numbers.by_level().find(level);
      const std::string word = EnumWord(v1::Level_descriptor(), level);
      tiles +=
          Tile(word, absl::StrCat(count == numbers.by_level().end() ? 0 : count->second), Markup("level $0", {word}));
    }
  }
  if (overview.streams) {
    int open = 0;
    uint64_t sent = 0;
    for (const wire::BoardLine& line : lines) {
      open += line.open;
      sent += line.sent;
    }
    tiles += Tile("Streams connected", absl::StrCat(open));
    tiles += Tile("Events sent on them", absl::StrCat(sent));
  }
  return tiles;
}

// Worst first.
std::vector<wire::BoardLine> LinesOf(const Overview& overview) {
  std::map<std::string, std::pair<const v1::Standing*, const v1::StakeholderStreams*>> parts;
  for (const v1::Standing& standing : overview.standings.standings()) parts[standing.stakeholder()].first = &standing;
  if (overview.streams) {
    for (const auto& streams : overview.streams->stakeholders()) parts[streams.stakeholder()].second = &streams;
  }
  std::vector<wire::BoardLine> lines;
  for (const auto& [stakeholder, part] : parts) {
    lines.push_back(
        wire::ToBoardLine(stakeholder, part.first == nullptr ? v1::Standing::default_instance() : *part.first,
                          part.second == nullptr ? v1::StakeholderStreams::default_instance() : *part.second));
  }
  std::stable_sort(lines.begin(), lines.end(), wire::ComesBefore);
  return lines;
}

Html StreamCells(absl::Time now, const wire::BoardLine& line) {
  if (line.streams == 0) return Markup("<td class=\"dim\">0</td><td></td><td></td><td></td><td></td>");
  const bool lags = line.lag > absl::ZeroDuration();
  return Markup(
      "<td class=\"$0\">$1</td><td>$2</td><td class=\"$3\">$4</td><td class=\"$3\">$5</td><td>$6</td>",
      {line.open == 0 ? "dim" : "", absl::StrCat(line.open), absl::StrCat(line.behind), line.lag > kLate ? "warn" : "",
       lags ? wire::RoughAge(line.lag) : "", lags ? IndianTime(now - line.lag) : Html(), Ago(now, line.acked_at)});
}

Html StakeholderTable(absl::Time now, const Overview& overview, const std::vector<wire::BoardLine>& lines) {
  const bool streams = overview.streams.has_value();
  Html rows;
  for (size_t i = 0; i < std::min(lines.size(), kLinesMax); ++i) {
    const wire::BoardLine& line = lines[i];
    rows += Markup("<tr><td>$0</td>$1<td class=\"$2\">$3</td><td class=\"$2\">$4</td><td>$5</td></tr>\n",
                   {line.stakeholder, streams ? StreamCells(now, line) : Html(), line.owes > 0 ? "alarm" : "",
                    line.corrections == 0 ? "" : absl::StrCat(line.owes, " of ", line.corrections),
                    IndianTime(line.owes_since), line.actions == 0 ? "" : absl::StrCat(line.actions)});
  }
  Html table = Markup(
      "<table>\n<thead><tr><th>Stakeholder</th>$0<th>Owes confirmations</th><th>Oldest "
      "decided</th><th>Actions</th></tr>"
      "</thead>\n<tbody>\n$1</tbody></table>\n",
      {streams ? Markup("<th>Streams</th><th>Records behind</th><th>Lag</th><th>Behind since</th><th>Acknowledged</th>")
               : Html(),
       rows});
  if (lines.size() > kLinesMax) {
    table += Markup("<p>$0 more, who ask for less attention: <code>hubctl board</code> lists all.</p>\n",
                    {absl::StrCat(lines.size() - kLinesMax)});
  }
  if (!streams) {
    table += Markup(
        "<p>This process doesn't know who is connected and who lags: streams are served, and known, by the fan-out "
        "processes. <code>hubctl board</code> and <code>hubctl streams</code> ask all of them.</p>\n");
  }
  return table;
}

Html Unconfirmed(const v1::ListReceiptsResponse& receipts) {
  std::vector<std::string> names;
  int more = 0;
  for (const v1::Receipt& receipt : receipts.receipts()) {
    if (receipt.has_confirmed_at()) continue;
    if (static_cast<int>(names.size()) == kNamesMax) {
      ++more;
    } else {
      names.push_back(receipt.stakeholder() + (receipt.has_sent_at() ? "" : " (not told)"));
    }
  }
  return absl::StrCat(absl::StrJoin(names, ", "), more == 0 ? "" : absl::StrCat(" and ", more, " more"));
}

Html Level(v1::Level level) {
  const std::string word = EnumWord(v1::Level_descriptor(), level);
  return Markup("<b class=\"level $0\">$0</b>", {word});
}

Html CorrectionTable(const std::vector<CorrectionReceipts>& corrections) {
  if (corrections.empty()) return Markup("<p>None in the last 30 days.</p>\n");
  Html rows;
  for (const CorrectionReceipts& correction : corrections) {
    const v1::Event& event = correction.event;
    const v1::ListReceiptsResponse& receipts = correction.receipts;
    Html levels = Level(event.indicator().level());
    if (correction.before.level() != v1::LEVEL_UNSPECIFIED) {
      levels = Markup("$0 to $1", {Level(correction.before.level()), levels});
    }
    rows += Markup(
        "<tr><td>$0</td><td>$1</td><td>$2</td><td>$3</td><td><a href=\"/indicator/$4\">$4</a> v$5</td>"
        "<td>$6 of $7</td><td>$8</td><td class=\"alarm names\">$9</td></tr>\n",
        {IndianTime(event.decided_at()), EnumWord(v1::EventKind_descriptor(), event.kind()),
         EnumWord(v1::IdentifierType_descriptor(), event.indicator().identifier().type()), levels,
         event.indicator().indicator_id(), absl::StrCat(event.version().version()), absl::StrCat(receipts.told()),
         absl::StrCat(receipts.receipts_size()), absl::StrCat(receipts.confirmed()), Unconfirmed(receipts)});
  }
  return Markup(
      "<table>\n<thead><tr><th>Decided</th><th>What</th><th>Type</th><th>Level</th><th>Indicator</th><th>Told</th>"
      "<th>Confirmed</th><th>Not confirmed by</th></tr></thead>\n<tbody>\n$0</tbody></table>\n",
      {rows});
}

template <class Messages>
Html TableOf(const Messages& messages) {
  std::vector<const google::protobuf::Message*> rows;
  for (const auto& message : messages) rows.push_back(&message);
  return FieldTable(rows);
}

}  // namespace

std::string OverviewPage(const PageFrame& frame, const Overview& overview) {
  const std::vector<wire::BoardLine> lines = LinesOf(overview);
  const auto behind = std::count_if(lines.begin(), lines.end(), [](const auto& line) { return line.lag > kLate; });
  const auto owing = std::count_if(lines.begin(), lines.end(), [](const auto& line) { return line.owes > 0; });
  Html content = Markup("<section class=\"tiles\">\n$0</section>\n", {Tiles(frame, overview, lines)});
  if (overview.numbers) {
    content +=
        Markup("<p>Reports and indicators as counted $0 ago.</p>\n", {wire::RoughAge(frame.now - overview.counted_at)});
  }
  content += Markup("<h2>Newest corrections</h2>\n$0<h2>Stakeholders</h2>\n<p>$1, worst first. ",
                    {CorrectionTable(overview.corrections), absl::StrCat(lines.size())});
  content += Markup("$0 owe the confirmation of a correction decided since $1 IST.",
                    {absl::StrCat(owing), IndianTime(overview.standings.since())});
  if (overview.streams) content += Markup(" $0 are more than a minute behind.", {absl::StrCat(behind)});
  content += Markup("</p>\n$0", {StakeholderTable(frame.now, overview, lines)});
  return Framed(frame, Markup(kRefresh), "Board", content);
}

std::string IndicatorPage(const PageFrame& frame, const Found& found) {
  Html content;
  for (const v1::Explanation& why : found.why.explanations()) {
    Html steps;
    for (const std::string& step : why.steps()) steps += Markup("<li>$0</li>\n", {step});
    content += Markup("<h2>$0</h2>\n$1<h3>Why</h3>\n<ol>\n$2</ol>\n<p>Decided by rules $3.</p>\n$4",
                      {EnumWord(v1::Facet_descriptor(), why.indicator().facet()), FieldList(why.indicator()), steps,
                       absl::StrCat(why.rules_version()), TableOf(why.sources())});
  }
  content += Markup("<h2>Timeline</h2>\n<p>Newest first, Indian time. Data is complete until $0.</p>\n$1",
                    {IndianTime(found.why.complete_until()), TableOf(found.events.entries())});
  if (!found.events.next_page_token().empty()) {
    content += Markup("<p>There is more: <code>hubctl timeline</code> lists all.</p>\n");
  }
  return Framed(frame, {}, "Indicator", content);
}

std::string LookupPage(const PageFrame& frame, const std::string& note) {
  Html options;
  for (int type = v1::IdentifierType_MIN + 1; type <= v1::IdentifierType_MAX; ++type) {
    const std::string word = EnumWord(v1::IdentifierType_descriptor(), type);
    options += Markup("<option>$0</option>", {word});
  }
  Html content;
  if (!note.empty()) content += Markup("<p class=\"note\">$0</p>\n", {note});
  content += Markup(
      "<form method=\"post\" action=\"/lookup\" autocomplete=\"off\">\n<label>Type <select "
      "name=\"type\">$0</select></label>\n"
      "<label>Identifier <input name=\"value\" maxlength=\"2048\" required autofocus></label>\n$1"
      "<button>Look up</button>\n</form>\n<p>Every lookup is recorded: who, what, why.</p>\n",
      {options, Markup(kPurposeFields)});
  return Framed(frame, {}, "Look up", content);
}

std::string PurposePage(const PageFrame& frame, const std::string& indicator_id) {
  const Html content = Markup(
      "<p>$0</p>\n<form action=\"/indicator/$0\">\n$1<button>Show</button>\n</form>\n"
      "<p>Every lookup is recorded: who, what, why.</p>\n",
      {indicator_id, Markup(kPurposeFields)});
  return Framed(frame, {}, "Indicator", content);
}

std::string ProblemPage(const PageFrame& frame, const std::string& title, const std::string& text) {
  return Framed(frame, {}, title, Markup("<p class=\"note\">$0</p>\n", {text}));
}

}  // namespace hub::query
