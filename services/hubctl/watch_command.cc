// watch: the live stream on a terminal or into a program, resumed where it stopped.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "fraudhub/v1/subscription.pb.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/base/thread.h"
#include "libs/client/subscriber.h"
#include "libs/model/refusal.h"
#include "libs/wire/board_line.h"
#include "services/hubctl/command.h"
#include "services/hubctl/interrupts.h"
#include "services/hubctl/token_file.h"
#include "services/hubctl/when.h"
#include "services/hubctl/words.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr absl::Duration kToldEvery = absl::Seconds(5);

struct WatchArguments {
  std::vector<std::string> types, facets, reasons, categories, circles, states, units, cases, operators;
  std::string level_min;
  std::string from = "now";
  std::string token_file;
  std::string cursor;
  std::string until_quiet;
  uint64_t count = 0;
  int links_max = 0;
  bool snapshot = false;
};

std::vector<Column> ColumnsFor(const WatchArguments& arguments) {
  std::vector<Column> columns = {{"Decided", 19},    {"Event", 15},   {"Level", 9},
                                 {"Identifier", 28}, {"Reasons", 24}, {"Categories"}};
  if (arguments.links_max > 0) columns.push_back({"Links"});
  return columns;
}

// The first of them, and how many more there are.
std::string LinksOf(const v1::Indicator& indicator, int links_max) {
  std::string text;
  for (int i = 0; i < std::min(links_max, indicator.links_size()); ++i) {
    const v1::Link& link = indicator.links(i);
    absl::StrAppend(&text, i == 0 ? "" : ", ", Word(v1::Relation_descriptor(), link.relation()), " ",
                    Word(v1::IdentifierType_descriptor(), link.identifier().type()), ":",
                    link.identifier().canonical());
  }
  if (indicator.links_size() > links_max) absl::StrAppend(&text, ", +", indicator.links_size() - links_max);
  return text;
}

template <class Enum, class Add>
absl::Status AddWords(const std::vector<std::string>& texts, const google::protobuf::EnumDescriptor* type,
                      const char* option, Add add) {
  for (const std::string& text : texts) {
    const auto number = ParseWord(type, text);
    if (!number.ok()) return Usage(absl::StrCat(option, ": ", number.status().message()));
    add(static_cast<Enum>(*number));
  }
  return absl::OkStatus();
}

// One clause: all that is asked for must hold.
absl::StatusOr<v1::Filter> FilterFrom(const WatchArguments& arguments) {
  v1::FilterClause clause;
  HUB_RETURN_IF_ERROR(AddWords<v1::IdentifierType>(arguments.types, v1::IdentifierType_descriptor(), "--type",
                                                   [&](auto v) { clause.add_types(v); }));
  HUB_RETURN_IF_ERROR(
      AddWords<v1::Facet>(arguments.facets, v1::Facet_descriptor(), "--facet", [&](auto v) { clause.add_facets(v); }));
  HUB_RETURN_IF_ERROR(AddWords<v1::Reason>(arguments.reasons, v1::Reason_descriptor(), "--reason",
                                           [&](auto v) { clause.add_reasons(v); }));
  HUB_RETURN_IF_ERROR(AddWords<v1::FraudCategory>(arguments.categories, v1::FraudCategory_descriptor(), "--category",
                                                  [&](auto v) { clause.add_categories(v); }));
  if (!arguments.level_min.empty()) {
    HUB_RETURN_IF_ERROR(AddWords<v1::Level>({arguments.level_min}, v1::Level_descriptor(), "--min-level",
                                            [&](auto v) { clause.set_level_min(v); }));
  }
  for (const std::string& text : arguments.circles) clause.add_circles_of_issue(text);
  for (const std::string& text : arguments.states) clause.add_victim_states(text);
  for (const std::string& text : arguments.units) clause.add_handling_units(text);
  for (const std::string& text : arguments.cases) clause.add_case_refs(text);
  for (const std::string& text : arguments.operators) clause.add_operator_ids(text);
  v1::Filter filter;
  if (clause.ByteSizeLong() > 0) *filter.add_any_of() = clause;
  return filter;
}

// "5" or "5s".
absl::StatusOr<absl::Duration> QuietFrom(const std::string& text) {
  double seconds = 0;
  if (absl::SimpleAtod(text, &seconds) && seconds > 0 && seconds < 1e6) return absl::Seconds(seconds);
  absl::Duration quiet;
  if (absl::ParseDuration(text, &quiet) && quiet > absl::ZeroDuration()) return quiet;
  return Usage("--until-quiet: want seconds, such as 5, or a duration such as 1m");
}

// What the stream's thread does and the one that watches for silence. Thread safety: any thread.
class Watch {
 public:
  Watch(const WatchArguments& arguments, const Environment& env, Interrupts* interrupts,
        std::optional<absl::Duration> quiet)
      : env_(env),
        interrupts_(interrupts),
        quiet_(quiet),
        count_max_(arguments.count),
        snapshot_(arguments.snapshot),
        links_max_(arguments.links_max),
        output_(env.style(/*streamed=*/true), ColumnsFor(arguments), env.out) {
    if (!arguments.token_file.empty()) token_file_.emplace(arguments.token_file);
    last_ = env.clock->Monotonic();
  }

  absl::StatusOr<std::string> Token() const { return token_file_ ? token_file_->Load() : std::string(); }

  client::SubscriberHandlers Handlers() {
    client::SubscriberHandlers handlers;
    handlers.on_opened = [this](const v1::Opened& opened) { OnOpened(opened); };
    handlers.on_event = [this](const v1::Event& event) { return OnEvent(event); };
    handlers.on_progress = [this](const v1::Progress& progress) { Keep(progress.token()); };
    if (snapshot_) {
      // What is gone without a word: told as what it is, an indicator that left the view.
      handlers.on_removed = [this](const std::string& indicator_id) {
        v1::Event event;
        event.mutable_indicator()->set_indicator_id(indicator_id);
        event.set_left_view(true);
        OnEvent(event);
      };
    }
    handlers.on_disconnected = [this](const absl::Status& why, absl::Duration pause) {
      const absl::Duration now = env_.clock->Monotonic();
      if (told_ && now < *told_ + kToldEvery) return;
      told_ = now;
      *env_.err << "hubctl: " << Describe(why, ServerOf(env_.settings, Serves::kStreams)) << "; trying again in "
                << wire::RoughAge(pause) << '\n';
      env_.err->flush();
    };
    return handlers;
  }

  // Until stopped: ends the watch when it never opened within --timeout, or when nothing came for long enough.
  void WatchSilence(std::stop_token stop) {
    const std::stop_callback woken(stop, [this] {
      base::MutexLock lock(&mu_);
      changed_.NotifyAll();
    });
    bool ended = false;
    while (!ended && !stop.stop_requested()) {
      {
        base::MutexLock lock(&mu_);
        if (opened_ && !quiet_) return;
        const absl::Duration until = last_ + (opened_ ? *quiet_ : env_.timeout);
        const absl::Duration left = until - env_.clock->Monotonic();
        ended = left <= absl::ZeroDuration();
        if (!ended) changed_.WaitFor(&mu_, left);
      }
    }
    if (ended) interrupts_->RequestStop();
  }

  void End() { output_.End(); }
  bool opened() {
    base::MutexLock lock(&mu_);
    return opened_;
  }
  const absl::Status& failure() const { return failure_; }

 private:
  void OnOpened(const v1::Opened& opened) {
    {
      base::MutexLock lock(&mu_);
      opened_ = true;
      last_ = env_.clock->Monotonic();
      changed_.NotifyAll();
    }
    if (!kept_any_) Keep(opened.token());
  }

  bool OnEvent(const v1::Event& event) {
    const v1::Indicator& indicator = event.indicator();
    const bool csv = env_.settings.output == "csv";
    const auto reasons = absl::StrJoin(indicator.reasons(), " ", [](std::string* out, int reason) {
      absl::StrAppend(out, Word(v1::Reason_descriptor(), reason));
    });
    const auto categories = absl::StrJoin(indicator.categories(), " ", [](std::string* out, int category) {
      absl::StrAppend(out, Word(v1::FraudCategory_descriptor(), category));
    });
    output_.Row({{csv ? ForMachines(event.decided_at()) : ForPeople(event.decided_at()), Tone::kDim},
                 {event.left_view() ? "LEFT_VIEW" : Word(v1::EventKind_descriptor(), event.kind())},
                 event.left_view() ? Cell{} : LevelCell(indicator.level()),
                 {absl::StrCat(Word(v1::IdentifierType_descriptor(), indicator.identifier().type()), ":",
                               indicator.identifier().canonical())},
                 {reasons},
                 {categories},
                 {links_max_ > 0 ? LinksOf(indicator, links_max_) : ""}},
                event);
    if (!*env_.out) {
      failure_ = absl::InternalError("the output can't be written");
      interrupts_->RequestStop();
      return false;
    }
    {
      base::MutexLock lock(&mu_);
      last_ = env_.clock->Monotonic();
    }
    if (count_max_ > 0 && ++count_ >= count_max_) interrupts_->RequestStop();
    return true;
  }

  void Keep(const std::string& token) {
    if (!token_file_ || token.empty()) return;
    kept_any_ = true;
    failure_ = token_file_->Save(token);
    if (!failure_.ok()) interrupts_->RequestStop();
  }

  const Environment& env_;
  Interrupts* const interrupts_;
  const std::optional<absl::Duration> quiet_;
  const uint64_t count_max_;
  const bool snapshot_;
  const int links_max_;
  // The stream's thread only.
  Output output_;
  std::optional<TokenFile> token_file_;
  uint64_t count_ = 0;
  bool kept_any_ = false;
  std::optional<absl::Duration> told_;  // when a break was last told
  absl::Status failure_;

  base::Mutex mu_;
  base::CondVar changed_;
  bool opened_ ABSL_GUARDED_BY(mu_) = false;
  absl::Duration last_ ABSL_GUARDED_BY(mu_);
};

bool IsCursorRefusal(const absl::Status& status) {
  const auto refusal = model::RefusalOf(status);
  return refusal && refusal->code >= model::RefusalCode::kCursorInvalid &&
         refusal->code <= model::RefusalCode::kFilterChanged;
}

absl::StatusOr<ExitCode> RunWatch(const WatchArguments& arguments, const Environment& env) {
  HUB_ASSIGN_OR_RETURN(const v1::Filter filter, FilterFrom(arguments));
  if (arguments.from != "now" && arguments.from != "earliest") return Usage("--from: want now or earliest");
  if (!arguments.cursor.empty() && !arguments.token_file.empty()) {
    return Usage("--cursor, --token-file: want one of them: the hub keeps the place, or the file does");
  }
  std::optional<absl::Duration> quiet;
  if (!arguments.until_quiet.empty()) {
    HUB_ASSIGN_OR_RETURN(quiet, QuietFrom(arguments.until_quiet));
  }
  client::SubscriberOptions options;
  HUB_ASSIGN_OR_RETURN(options.connection, ConnectionOf(env.settings, Serves::kStreams));
  options.from_earliest = arguments.from == "earliest";
  options.cursor = arguments.cursor;
  options.from_snapshot = options.snapshot_when_lost = arguments.snapshot;
  options.client_id = "hubctl watch";
  Interrupts interrupts;
  Watch watch(arguments, env, &interrupts, quiet);
  HUB_ASSIGN_OR_RETURN(options.token, watch.Token());
  base::Thread silence("hubctl-silence", [&](std::stop_token stop) { watch.WatchSilence(stop); });
  absl::Status status = client::Subscriber::Run(options, filter, watch.Handlers(), interrupts.token());
  silence.Stop();
  if (env.settings.output == "csv" || arguments.count > 0 || !status.ok()) watch.End();
  if (IsCursorRefusal(status)) {
    if (arguments.cursor.empty()) {
      *env.err << "hubctl: the stream can't go on from " << arguments.token_file
               << "; start with --snapshot, or remove it and start with --from earliest\n";
    } else {
      *env.err << "hubctl: the stream can't go on from this cursor; start with --snapshot, or take a new name\n";
    }
  }
  HUB_RETURN_IF_ERROR(status);
  HUB_RETURN_IF_ERROR(watch.failure());
  if (!watch.opened() && !Interrupts::came()) return absl::DeadlineExceededError("no stream within --timeout");
  return kDone;
}

}  // namespace

void AddWatchCommand(CLI::App* app, Environment* env) {
  CLI::App* watch =
      app->add_subcommand("watch", "The live stream of what you may see, one event a line; Ctrl-C ends it");
  const auto arguments = std::make_shared<WatchArguments>();
  watch->add_option("--type", arguments->types, "Types of identifiers")->delimiter(',');
  watch->add_option("--min-level", arguments->level_min, "This level or higher");
  watch->add_option("--category", arguments->categories, "Kinds of fraud")->delimiter(',');
  watch->add_option("--reason", arguments->reasons, "Reasons")->delimiter(',');
  watch->add_option("--lsa", arguments->circles, "Telecom circles that issued the number: DL")->delimiter(',');
  watch->add_option("--state", arguments->states, "Victims' states: MH")->delimiter(',');
  watch->add_option("--unit", arguments->units, "Police units")->delimiter(',');
  watch->add_option("--case-ref", arguments->cases, "Cases")->delimiter(',');
  watch->add_option("--operator", arguments->operators, "Operators, by stakeholder id")->delimiter(',');
  watch->add_option("--facet", arguments->facets, "RISK, CONNECTION, TRACE")->delimiter(',');
  watch->add_option("--links", arguments->links_max, "Law enforcement: so many linked identifiers with each event")
      ->check(CLI::Range(0, 16));
  watch->add_option(
      "--from", arguments->from,
      "Without a token, or with a new cursor: now, or earliest (the last state of everything, then the live stream)");
  watch->add_flag(
      "--snapshot", arguments->snapshot,
      "Without a token, with a new cursor, or when it is too old: everything in view first, then the live stream");
  watch->add_option("--token-file", arguments->token_file,
                    "Goes on where an earlier watch with this file and filter stopped");
  watch->add_option(
      "--cursor", arguments->cursor,
      "Goes on where the last watch with this name was, as the hub keeps it; takes it from another that is open");
  watch->add_option("--until-quiet", arguments->until_quiet, "End when nothing came for so many seconds");
  watch->add_option("--count,--limit", arguments->count, "End after so many events");
  watch->callback([=] { env->action = [=] { return RunWatch(*arguments, *env); }; });
}

}  // namespace hub::hubctl
