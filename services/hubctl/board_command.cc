// board: how each stakeholder stands. Who is behind, since when, who never confirmed a correction, who acts.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "libs/base/mutex.h"
#include "services/hubctl/command.h"
#include "services/hubctl/hub_calls.h"
#include "services/hubctl/interrupts.h"
#include "services/hubctl/when.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

constexpr char kClearScreen[] = "\x1b[H\x1b[2J";

struct BoardArguments {
  bool watch = false;
  std::string interval = "2s";
  int rounds = 0;  // 0: until interrupted
  size_t limit = 0;
};

struct Line {
  std::string stakeholder;
  v1::Standing standing;
  std::vector<v1::SubscriptionState> streams;

  int open() const {
    return static_cast<int>(
        std::count_if(streams.begin(), streams.end(), [](const auto& one) { return one.connected(); }));
  }
  int64_t behind() const {
    int64_t most = 0;
    for (const auto& stream : streams) most = std::max(most, stream.records_behind());
    return most;
  }
  absl::Duration lag() const {
    absl::Duration longest;
    for (const auto& stream : streams) {
      longest = std::max(longest, absl::Seconds(stream.lag().seconds()) + absl::Nanoseconds(stream.lag().nanos()));
    }
    return longest;
  }
  google::protobuf::Timestamp acked_at() const {
    google::protobuf::Timestamp last;
    for (const auto& stream : streams) {
      if (std::pair(stream.acked_at().seconds(), stream.acked_at().nanos()) > std::pair(last.seconds(), last.nanos()))
        last = stream.acked_at();
    }
    return last;
  }
  uint64_t sent() const {
    uint64_t sum = 0;
    for (const auto& stream : streams) sum += stream.events_sent();
    return sum;
  }
  uint32_t owes() const { return standing.corrections() - std::min(standing.confirmed(), standing.corrections()); }
};

using Board = std::map<std::string, Line>;

// Every process knows every cursor, but only its own streams: what the one with the stream says counts.
void AddStreams(const v1::ListStreamsResponse& response, Board* board) {
  for (const v1::StakeholderStreams& streams : response.stakeholders()) {
    std::vector<v1::SubscriptionState>& known = (*board)[streams.stakeholder()].streams;
    for (const v1::SubscriptionState& stream : streams.streams()) {
      const auto same = std::find_if(known.begin(), known.end(), [&](const auto& one) {
        return !stream.cursor().empty() && one.cursor() == stream.cursor();
      });
      if (same == known.end()) {
        known.push_back(stream);
      } else if (stream.connected()) {
        *same = stream;
      }
    }
  }
}

absl::StatusOr<Board> Ask(const Environment& env) {
  Board board;
  HUB_ASSIGN_OR_RETURN(const HubCalls queries, HubCalls::Connect(env));
  HUB_ASSIGN_OR_RETURN(
      const auto standings,
      queries.Call<v1::OperationsService>(&v1::OperationsService::Stub::ListStandings, v1::ListStandingsRequest()));
  for (const v1::Standing& standing : standings.standings()) board[standing.stakeholder()].standing = standing;
  HUB_ASSIGN_OR_RETURN(client::ConnectionOptions options, ConnectionOf(env.settings, Serves::kStreams));
  for (const std::string& server : std::vector<std::string>(absl::StrSplit(options.server, ','))) {
    options.server = server;
    HUB_ASSIGN_OR_RETURN(const HubCalls calls, HubCalls::To(options, env));
    HUB_ASSIGN_OR_RETURN(const auto streams, calls.Call<v1::OperationsService>(
                                                 &v1::OperationsService::Stub::ListStreams, v1::ListStreamsRequest()));
    AddStreams(streams, &board);
  }
  for (auto& [stakeholder, line] : board) line.stakeholder = stakeholder;
  return board;
}

// What asks for somebody's attention first: the oldest correction without a confirmation, then the longest lag.
std::vector<const Line*> WorstFirst(const Board& board) {
  std::vector<const Line*> lines;
  for (const auto& [stakeholder, line] : board) lines.push_back(&line);
  const auto weight = [](const Line* line) {
    const int64_t since =
        line->standing.has_oldest_unconfirmed() ? line->standing.oldest_unconfirmed().seconds() : INT64_MAX;
    return std::tuple(since, -line->lag(), -line->behind());
  };
  std::stable_sort(lines.begin(), lines.end(), [&](const Line* a, const Line* b) { return weight(a) < weight(b); });
  return lines;
}

std::string JsonOf(const Line& line) {
  std::string json = absl::StrCat("{\"stakeholder\":", JsonString(line.stakeholder),
                                  ",\"standing\":", ToJson(line.standing), ",\"streams\":[");
  const char* comma = "";
  for (const auto& stream : line.streams) {
    absl::StrAppend(&json, comma, ToJson(stream));
    comma = ",";
  }
  return json + "]}";
}

class BoardPrinter {
 public:
  BoardPrinter(const BoardArguments& arguments, const Environment& env) : arguments_(arguments), env_(env) {}

  void Print(const Board& board) {
    const absl::Duration now = env_.clock->Monotonic();
    const double seconds = absl::ToDoubleSeconds(now - last_);
    if (arguments_.watch && env_.out_is_terminal) *env_.out << kClearScreen;
    std::vector<Column> columns = {{"Stakeholder"}, {"Open"}, {"Behind"}, {"Lag"},
                                   {"Acked"},       {"Owes"}, {"Since"},  {"Actions"}};
    if (arguments_.watch) columns.push_back({"Sent/s"});
    Output output(env_.style(), columns, env_.out);
    size_t printed = 0;
    for (const Line* line : WorstFirst(board)) {
      if (arguments_.limit > 0 && printed++ == arguments_.limit) break;
      std::vector<Cell> cells = CellsOf(*line);
      const auto before = sent_.find(line->stakeholder);
      if (arguments_.watch && before != sent_.end() && line->sent() >= before->second && seconds > 0)
        cells.push_back({absl::StrFormat("%.1f", static_cast<double>(line->sent() - before->second) / seconds)});
      output.Row(std::move(cells), JsonOf(*line));
    }
    output.End();
    for (const auto& [stakeholder, line] : board) sent_[stakeholder] = line.sent();
    last_ = now;
  }

 private:
  std::vector<Cell> CellsOf(const Line& line) const {
    const bool csv = env_.settings.output == "csv";
    const auto ago = [&](const google::protobuf::Timestamp& at) {
      if (csv) return ForMachines(at);
      return at.seconds() == 0 ? std::string() : RoughAge(env_.clock->TimeNow() - ToTime(at));
    };
    const std::string lag = line.lag() == absl::ZeroDuration() ? ""
                            : csv ? absl::StrFormat("%.3f", absl::ToDoubleSeconds(line.lag()))
                                  : RoughAge(line.lag());
    const std::string owes =
        line.standing.corrections() == 0 ? "" : absl::StrCat(line.owes(), "/", line.standing.corrections());
    return {{line.stakeholder},
            {absl::StrCat(line.open()), line.open() == 0 ? Tone::kDim : Tone::kPlain},
            {line.streams.empty() ? "" : absl::StrCat(line.behind())},
            {lag, line.lag() > absl::Minutes(1) ? Tone::kWarn : Tone::kPlain},
            {ago(line.acked_at())},
            {owes, line.owes() > 0 ? Tone::kAlarm : Tone::kPlain},
            {ago(line.standing.oldest_unconfirmed()), Tone::kAlarm},
            {line.standing.actions() == 0 ? "" : absl::StrCat(line.standing.actions())}};
  }

  const BoardArguments& arguments_;
  const Environment& env_;
  std::map<std::string, uint64_t> sent_;  // at the last round, by stakeholder
  absl::Duration last_;
};

// False: asked to stop.
bool WaitFor(absl::Duration interval, const std::stop_token& stop, const base::Clock& clock) {
  base::Mutex mu;
  base::CondVar changed;
  const std::stop_callback woken(stop, [&] {
    base::MutexLock lock(&mu);
    changed.NotifyAll();
  });
  const absl::Duration until = clock.Monotonic() + interval;
  base::MutexLock lock(&mu);
  while (!stop.stop_requested() && clock.Monotonic() < until) changed.WaitFor(&mu, until - clock.Monotonic());
  return !stop.stop_requested();
}

absl::StatusOr<ExitCode> RunBoard(const BoardArguments& arguments, const Environment& env) {
  absl::Duration interval;
  if (!absl::ParseDuration(arguments.interval, &interval) || interval < absl::Milliseconds(100))
    return Usage("--interval: want a duration such as 2s, at least 100ms");
  BoardPrinter printer(arguments, env);
  HUB_ASSIGN_OR_RETURN(const Board first, Ask(env));
  printer.Print(first);
  if (!arguments.watch) return kDone;
  Interrupts interrupts;
  for (int round = 1; arguments.rounds == 0 || round < arguments.rounds; ++round) {
    if (!WaitFor(interval, interrupts.token(), *env.clock)) return kDone;
    const absl::StatusOr<Board> next = Ask(env);
    if (next.ok()) {
      printer.Print(*next);
    } else if (absl::IsUnavailable(next.status())) {
      *env.err << "hubctl: " << Describe(next.status(), env.settings.server) << '\n';
      env.err->flush();
    } else {
      return next.status();
    }
  }
  return kDone;
}

}  // namespace

void AddBoardCommand(CLI::App* app, Environment* env) {
  CLI::App* board = app->add_subcommand(
      "board",
      "Stakeholders, worst first: streams open, behind, corrections they owe a confirmation, actions reported");
  const auto arguments = std::make_shared<BoardArguments>();
  board->add_flag("--watch", arguments->watch, "Again and again, with rates; Ctrl-C ends it");
  board->add_option("--interval", arguments->interval, "With --watch: how often");
  board->add_option("--rounds", arguments->rounds, "With --watch: end after so many")->check(CLI::NonNegativeNumber);
  board->add_option("--limit", arguments->limit, "Lines at most; 0 = all");
  board->callback([=] { env->action = [=] { return RunBoard(*arguments, *env); }; });
}

}  // namespace hub::hubctl
