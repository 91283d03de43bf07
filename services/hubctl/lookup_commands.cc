// lookup: what is known now. why, timeline, links: for those who may see more.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/client/lookup.h"
#include "libs/wire/board_line.h"
#include "services/hubctl/command.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/identifier_argument.h"
#include "services/hubctl/when.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr int kIdentifiersMax = 1000;  // of one call, by the API
constexpr int kPageMax = 1000;         // likewise
constexpr int kExpandedMax = 100;      // links looked up at once; the others are said to be left out

template <class Request>
Request Asking(const Environment& env) {
  Request request;
  request.set_purpose(env.settings.purpose);
  request.set_case_ref(env.settings.case_ref);
  return request;
}

template <class Numbers>
std::string Words(const google::protobuf::EnumDescriptor* type, const Numbers& numbers) {
  return absl::StrJoin(numbers, " ", [&](std::string* out, int number) { absl::StrAppend(out, Word(type, number)); });
}

std::string Shown(const v1::Identifier& identifier) {
  return absl::StrCat(Word(v1::IdentifierType_descriptor(), identifier.type()), ":", identifier.canonical());
}

class LookupRun {
 public:
  explicit LookupRun(const Environment& env)
      : env_(env),
        output_(env.style(),
                {{"Identifier"},
                 {"Verdict"},
                 {"Level"},
                 {"Reasons"},
                 {"Standing"},
                 {"Last seen"},
                 {"Lapses"},
                 {"Data age"}},
                env.out) {}

  absl::Status Open() {
    HUB_ASSIGN_OR_RETURN(const auto options, ConnectionOf(env_.settings, Serves::kQueries));
    HUB_ASSIGN_OR_RETURN(lookup_, client::Lookup::Create(options));
    return absl::OkStatus();
  }

  // `text` is what was typed; a text that can't be read as an identifier becomes a row like one the hub refuses.
  absl::Status Add(const std::string& text) {
    const auto identifier = ParseIdentifierArgument(text);
    texts_.push_back(text);
    readable_.push_back(identifier.ok());
    if (identifier.ok()) *request_.add_identifiers() = *identifier;
    return request_.identifiers_size() < kIdentifiersMax ? absl::OkStatus() : Ask();
  }

  absl::Status Ask() {
    v1::LookupResponse response;
    if (request_.identifiers_size() > 0) {
      request_.set_purpose(env_.settings.purpose);
      request_.set_case_ref(env_.settings.case_ref);
      auto answer = lookup_->Get(request_, env_.timeout);
      if (!answer.ok()) return At(ServerOf(env_.settings, Serves::kQueries), answer.status());
      response = *std::move(answer);
      if (response.results_size() != request_.identifiers_size())
        return absl::InternalError("the hub's answer doesn't fit the question");
    }
    int next = 0;
    for (size_t i = 0; i < texts_.size(); ++i) {
      v1::LookupResult unreadable;
      unreadable.set_verdict(v1::LOOKUP_VERDICT_INVALID);
      unreadable.set_error(v1::ERROR_REASON_UNKNOWN_TYPE);
      unreadable.set_field("type");
      Print(texts_[i], readable_[i] ? response.results(next++) : unreadable);
    }
    request_.Clear();
    texts_.clear();
    readable_.clear();
    return absl::OkStatus();
  }

  ExitCode End() {
    output_.End();
    return not_allowed_ ? kNotAllowed : invalid_ ? kSomeRejected : kDone;
  }

 private:
  void Print(const std::string& text, const v1::LookupResult& result) {
    const bool found = result.verdict() == v1::LOOKUP_VERDICT_INDICATOR;
    const v1::Indicator& indicator = result.indicator();
    std::string verdict = Word(v1::LookupVerdict_descriptor(), result.verdict());
    if (result.verdict() == v1::LOOKUP_VERDICT_INVALID) {
      absl::StrAppend(&verdict, " ", Word(v1::ErrorReason_descriptor(), result.error()));
      (result.error() == v1::ERROR_REASON_NOT_ENTITLED ? not_allowed_ : invalid_) = true;
    }
    const bool csv = env_.settings.output == "csv";
    const auto time = [&](const auto& stamp) { return csv ? ForMachines(stamp) : ForPeople(stamp); };
    output_.Row(
        {{found ? Shown(indicator.identifier()) : text},
         {verdict, found ? Tone::kPlain : Tone::kDim},
         found ? LevelCell(indicator.level()) : Cell{},
         {Words(v1::Reason_descriptor(), indicator.reasons())},
         {Word(v1::EventKind_descriptor(), indicator.standing())},
         {time(indicator.last_seen())},
         {time(indicator.expires_at())},
         {result.has_complete_until() ? wire::RoughAge(env_.clock->TimeNow() - ToTime(result.complete_until())) : ""}},
        result);
  }

  const Environment& env_;
  Output output_;
  std::unique_ptr<client::Lookup> lookup_;
  v1::LookupRequest request_;
  std::vector<std::string> texts_;
  std::vector<bool> readable_;  // which of texts_ are in the request
  bool invalid_ = false;
  bool not_allowed_ = false;
};

absl::StatusOr<ExitCode> RunLookup(const std::vector<std::string>& ids, const Environment& env) {
  LookupRun run(env);
  const bool from_input = ids.size() == 1 && ids[0] == "-";
  if (!from_input) {
    for (const std::string& id : ids) HUB_RETURN_IF_ERROR(ParseIdentifierArgument(id).status());
  }
  HUB_RETURN_IF_ERROR(run.Open());
  if (from_input) {
    std::string line;
    while (std::getline(*env.in, line)) {
      const std::string text(absl::StripAsciiWhitespace(line));
      if (!text.empty() && text[0] != '#') HUB_RETURN_IF_ERROR(run.Add(text));
    }
  } else {
    for (const std::string& id : ids) HUB_RETURN_IF_ERROR(run.Add(id));
  }
  HUB_RETURN_IF_ERROR(run.Ask());
  return run.End();
}

void PrintSources(const v1::Explanation& explanation, const Environment& env) {
  Output output(env.style(),
                {{"Source"},
                 {"Group"},
                 {"Role"},
                 {"Said"},
                 {"Reason"},
                 {"Level alone"},
                 {"Times"},
                 {"Citizens"},
                 {"Last observed"},
                 {"Counts until"}},
                env.out);
  for (const v1::Source& source : explanation.sources()) {
    output.Row({{source.stakeholder()},
                {source.ownership_group()},
                {Word(v1::Role_descriptor(), source.role())},
                {Word(v1::InputKind_descriptor(), source.kind())},
                {Word(v1::Reason_descriptor(), source.reason())},
                LevelCell(source.level()),
                {source.count() == 0 ? "" : absl::StrCat(source.count())},
                {source.citizens() == 0 ? "" : absl::StrCat(source.citizens())},
                {ForPeople(source.last_observed())},
                {source.withdrawn() ? "withdrawn" : ForPeople(source.lapses_at())}},
               source);
  }
  if (explanation.sources_size() > 0) output.End();
}

absl::StatusOr<ExitCode> RunWhy(const std::string& id, const Environment& env) {
  auto request = Asking<v1::ExplainRequest>(env);
  HUB_ASSIGN_OR_RETURN(*request.mutable_identifier(), ParseIdentifierArgument(id));
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  HUB_ASSIGN_OR_RETURN(const auto response, calls.Call<v1::LookupService>(&v1::LookupService::Stub::Explain, request));
  const OutputStyle style = env.style();
  if (style.form == OutputForm::kCsv) {
    Output output(style, {{"Identifier"}, {"Facet"}, {"Level"}, {"Step"}, {"Text"}}, env.out);
    for (const v1::Explanation& explanation : response.explanations()) {
      const v1::Indicator& indicator = explanation.indicator();
      for (int i = 0; i < explanation.steps_size(); ++i) {
        output.Row({{Shown(indicator.identifier())},
                    {Word(v1::Facet_descriptor(), indicator.facet())},
                    LevelCell(indicator.level()),
                    {absl::StrCat(i + 1)},
                    {explanation.steps(i)}},
                   explanation);
      }
    }
    output.End();
    return kDone;
  }
  for (const v1::Explanation& explanation : response.explanations()) {
    if (style.form == OutputForm::kJson) {
      *env.out << ToJson(explanation) << '\n';
      continue;
    }
    const v1::Indicator& indicator = explanation.indicator();
    PrintTitle(absl::StrCat(Shown(indicator.identifier()), "  ", Word(v1::Facet_descriptor(), indicator.facet()), "  ",
                            Word(v1::Level_descriptor(), indicator.level()), "  ",
                            Words(v1::Reason_descriptor(), indicator.reasons())),
               style.color, env.out);
    PrintSources(explanation, env);
    for (const std::string& step : explanation.steps()) PrintTitle("  " + step, false, env.out);
    *env.out << "  rules version " << explanation.rules_version() << "; lapses " << ForPeople(indicator.expires_at())
             << ", review due " << ForPeople(indicator.review_due()) << '\n';
  }
  if (response.explanations().empty() && style.form == OutputForm::kTable)
    *env.out << "no indicator that you may see\n";
  return kDone;
}

// What was done, and about which version.
std::string ActionOf(const v1::HistoryEntry& entry) {
  const std::string action = Word(v1::Action_descriptor(), entry.action());
  return entry.action_version() == 0 ? action : absl::StrCat(action, " on ", entry.action_version());
}

absl::StatusOr<ExitCode> RunTimeline(const std::string& id, int limit, const Environment& env) {
  auto request = Asking<v1::ListEventsRequest>(env);
  HUB_ASSIGN_OR_RETURN(*request.mutable_identifier(), ParseIdentifierArgument(id));
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  Output output(env.style(),
                {{"Decided"},
                 {"Side"},
                 {"Tenure"},
                 {"Event"},
                 {"Level"},
                 {"Version"},
                 {"Report"},
                 {"Outcome"},
                 {"Role"},
                 {"Reporter"},
                 {"Action"}},
                env.out);
  const bool csv = env.settings.output == "csv";
  int left = limit;
  do {
    request.set_page_size(limit == 0 ? kPageMax : std::min(left, kPageMax));
    HUB_ASSIGN_OR_RETURN(const auto response,
                         calls.Call<v1::LookupService>(&v1::LookupService::Stub::ListEvents, request));
    for (const v1::HistoryEntry& entry : response.entries()) {
      output.Row({{csv ? ForMachines(entry.decided_at()) : ForPeople(entry.decided_at())},
                  {Word(v1::Facet_descriptor(), entry.facet())},
                  {absl::StrCat(entry.tenure())},
                  {Word(v1::EventKind_descriptor(), entry.event_kind())},
                  LevelCell(entry.level()),
                  {absl::StrCat(entry.version())},
                  {Word(v1::InputKind_descriptor(), entry.report_kind())},
                  {Word(v1::Outcome_descriptor(), entry.outcome())},
                  {Word(v1::Role_descriptor(), entry.reporter_role())},
                  {entry.reporter()},
                  {ActionOf(entry)}},
                 entry);
    }
    left -= response.entries_size();
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty() && (limit == 0 || left > 0));
  output.End();
  return kDone;
}

// What is known about each of them, in their order.
absl::StatusOr<v1::LookupResponse> Expand(const HubCalls& calls, const std::vector<v1::Link>& links,
                                          const Environment& env) {
  auto request = Asking<v1::LookupRequest>(env);
  for (const v1::Link& link : links) {
    if (request.identifiers_size() == kExpandedMax) break;
    const v1::Identifier& linked = link.identifier();
    HUB_ASSIGN_OR_RETURN(*request.add_identifiers(),
                         MakeRawIdentifier(Word(v1::IdentifierType_descriptor(), linked.type()), linked.canonical()));
  }
  if (links.empty()) return v1::LookupResponse();
  HUB_ASSIGN_OR_RETURN(auto response, calls.Call<v1::LookupService>(&v1::LookupService::Stub::Lookup, request));
  if (response.results_size() != request.identifiers_size())
    return absl::InternalError("the hub's answer doesn't fit the question");
  return response;
}

absl::StatusOr<ExitCode> PrintExpanded(const HubCalls& calls, const std::vector<v1::Link>& links,
                                       const Environment& env) {
  HUB_ASSIGN_OR_RETURN(const v1::LookupResponse known, Expand(calls, links, env));
  Output output(env.style(), {{"Relation"}, {"Type"}, {"Identifier"}, {"Verdict"}, {"Level"}, {"Reasons"}}, env.out);
  for (int i = 0; i < known.results_size(); ++i) {
    const v1::Link& link = links[static_cast<size_t>(i)];
    const v1::LookupResult& result = known.results(i);
    const v1::Indicator& indicator = result.indicator();
    output.Row({{Word(v1::Relation_descriptor(), link.relation())},
                {Word(v1::IdentifierType_descriptor(), link.identifier().type())},
                {link.identifier().canonical()},
                {Word(v1::LookupVerdict_descriptor(), result.verdict())},
                result.has_indicator() ? LevelCell(indicator.level()) : Cell{},
                {Words(v1::Reason_descriptor(), indicator.reasons())}},
               absl::StrCat("{\"link\":", ToJson(link), ",\"result\":", ToJson(result), "}"));
  }
  output.End();
  const auto shown = static_cast<size_t>(known.results_size());
  if (shown < links.size())
    *env.err << "hubctl: " << links.size() - shown
             << " more are not looked up; `hubctl links` without --expand lists them\n";
  return kDone;
}

absl::StatusOr<ExitCode> RunLinks(const std::string& id, bool expand, const Environment& env) {
  auto request = Asking<v1::ListLinksRequest>(env);
  HUB_ASSIGN_OR_RETURN(*request.mutable_identifier(), ParseIdentifierArgument(id));
  HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::Connect(env));
  Output output(env.style(), {{"Relation"}, {"Type"}, {"Identifier"}}, env.out);
  std::vector<v1::Link> links;
  request.set_page_size(kPageMax);
  do {
    HUB_ASSIGN_OR_RETURN(const auto response,
                         calls.Call<v1::LookupService>(&v1::LookupService::Stub::ListLinks, request));
    for (const v1::Link& link : response.links()) {
      links.push_back(link);
      if (expand) continue;
      output.Row({{Word(v1::Relation_descriptor(), link.relation())},
                  {Word(v1::IdentifierType_descriptor(), link.identifier().type())},
                  {link.identifier().canonical()}},
                 link);
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  if (expand) return PrintExpanded(calls, links, env);
  output.End();
  return kDone;
}

}  // namespace

void AddLookupCommands(CLI::App* app, Environment* env) {
  const auto ids = std::make_shared<std::vector<std::string>>();
  CLI::App* lookup = app->add_subcommand("lookup", "What is known now: level, reasons, age of the data");
  lookup->add_option("ID", *ids, "TYPE:VALUE, +91..., name@bank, https://...; - reads one a line")->required();
  lookup->callback([=] { env->action = [=] { return RunLookup(*ids, *env); }; });

  const auto id = std::make_shared<std::string>();
  CLI::App* why = app->add_subcommand("why", "Why an identifier has its level: sources, rules, age");
  why->add_option("ID", *id, "TYPE:VALUE, or what tells by itself")->required();
  why->callback([=] { env->action = [=] { return RunWhy(*id, *env); }; });

  const auto limit = std::make_shared<int>(100);
  CLI::App* timeline = app->add_subcommand("timeline", "What happened to an identifier, newest first");
  timeline->add_option("ID", *id, "TYPE:VALUE, or what tells by itself")->required();
  timeline->add_option("--limit", *limit, "Entries at most; 0 = all")->check(CLI::NonNegativeNumber);
  timeline->callback([=] { env->action = [=] { return RunTimeline(*id, *limit, *env); }; });

  CLI::App* links = app->add_subcommand("links", "What hangs together with an identifier");
  links->add_option("ID", *id, "TYPE:VALUE, or what tells by itself")->required();
  const auto expand = std::make_shared<bool>(false);
  links->add_flag("--expand", *expand, "And what is known about each of them, up to 100");
  links->callback([=] { env->action = [=] { return RunLinks(*id, *expand, *env); }; });
}

}  // namespace hub::hubctl
