// board: how each stakeholder stands. Who is behind, since when, who never confirmed a correction, who acts.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/mutex.h"
#include "libs/wire/board_line.h"
#include "services/hubctl/all_streams.h"
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
  v1::Standing standing;
  v1::StakeholderStreams streams;
  wire::BoardLine line;  // of the two
};

struct Board {
  std::map<std::string, Line> lines;  // by stakeholder
  AllStreams streams;
};

// The standings are there although nobody tells of streams.
absl::StatusOr<Board> Ask(const Environment& env) {
  Board board;
  HUB_ASSIGN_OR_RETURN(const HubCalls queries, HubCalls::Connect(env));
  HUB_ASSIGN_OR_RETURN(
      const auto standings,
      queries.Call<v1::OperationsService>(&v1::OperationsService::Stub::ListStandings, v1::ListStandingsRequest()));
  for (const v1::Standing& standing : standings.standings()) board.lines[standing.stakeholder()].standing = standing;
  HUB_ASSIGN_OR_RETURN(board.streams, ListAllStreams(env));
  for (const auto& [stakeholder, told] : board.streams.stakeholders) board.lines[stakeholder].streams = told;
  for (auto& [stakeholder, line] : board.lines) {
    line.line = wire::ToBoardLine(stakeholder, line.standing, line.streams);
  }
  return board;
}

std::vector<const Line*> WorstFirst(const Board& board) {
  std::vector<const Line*> lines;
  for (const auto& [stakeholder, line] : board.lines) lines.push_back(&line);
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Line* a, const Line* b) { return wire::ComesBefore(a->line, b->line); });
  return lines;
}

std::string JsonOf(const Line& line) {
  std::string json = absl::StrCat("{\"stakeholder\":", JsonString(line.line.stakeholder),
                                  ",\"standing\":", ToJson(line.standing), ",\"streams\":[");
  const char* comma = "";
  for (const auto& stream : line.streams.streams()) {
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
    const bool whole = board.streams.missing.empty();  // or else what was sent is more than is known
    if (arguments_.watch && env_.out_is_terminal) *env_.out << kClearScreen;
    std::vector<Column> columns = {{"Stakeholder"}, {"Open"}, {"Behind"}, {"Lag"},
                                   {"Acked"},       {"Owes"}, {"Since"},  {"Actions"}};
    if (arguments_.watch) columns.push_back({"Sent/s"});
    Output output(env_.style(), columns, env_.out);
    size_t printed = 0;
    for (const Line* line : WorstFirst(board)) {
      if (arguments_.limit > 0 && printed++ == arguments_.limit) break;
      std::vector<Cell> cells = CellsOf(line->line);
      const auto before = sent_.find(line->line.stakeholder);
      if (arguments_.watch && whole && before != sent_.end() && line->line.sent >= before->second && seconds > 0)
        cells.push_back({absl::StrFormat("%.1f", static_cast<double>(line->line.sent - before->second) / seconds)});
      output.Row(std::move(cells), JsonOf(*line));
    }
    output.End();
    if (!whole) return;
    for (const auto& [stakeholder, line] : board.lines) sent_[stakeholder] = line.line.sent;
    last_ = now;
  }

 private:
  std::vector<Cell> CellsOf(const wire::BoardLine& line) const {
    const bool csv = env_.settings.output == "csv";
    const auto ago = [&](absl::Time at) {
      if (at == absl::InfinitePast() || at == absl::InfiniteFuture()) return std::string();
      return csv ? ForMachines(ToTimestamp(at)) : wire::RoughAge(env_.clock->TimeNow() - at);
    };
    const std::string lag = line.lag == absl::ZeroDuration() ? ""
                            : csv                            ? absl::StrFormat("%.3f", absl::ToDoubleSeconds(line.lag))
                                                             : wire::RoughAge(line.lag);
    return {{line.stakeholder},
            {absl::StrCat(line.open), line.open == 0 ? Tone::kDim : Tone::kPlain},
            {line.streams == 0 ? "" : absl::StrCat(line.behind)},
            {lag, line.lag > absl::Minutes(1) ? Tone::kWarn : Tone::kPlain},
            {ago(line.acked_at)},
            {line.corrections == 0 ? "" : absl::StrCat(line.owes, "/", line.corrections),
             line.owes > 0 ? Tone::kAlarm : Tone::kPlain},
            {ago(line.owes_since), Tone::kAlarm},
            {line.actions == 0 ? "" : absl::StrCat(line.actions)}};
  }

  const BoardArguments& arguments_;
  const Environment& env_;
  std::map<std::string, uint64_t> sent_;  // at the last round that was whole, by stakeholder
  absl::Duration last_;                   // then
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
  absl::Status missing = first.streams.TellMissing(env);
  if (!arguments.watch) {
    HUB_RETURN_IF_ERROR(missing);  // what is shown is not all
    return kDone;
  }
  Interrupts interrupts;
  for (int round = 1;; ++round) {
    if (!missing.ok()) {
      if (ExitCodeFor(missing) != kUnreachable) return missing;
      *env.err << "hubctl: " << Describe(missing, env.settings.server) << '\n';
      env.err->flush();
    }
    if (arguments.rounds > 0 && round >= arguments.rounds) return kDone;
    if (!WaitFor(interval, interrupts.token(), *env.clock)) return kDone;
    const absl::StatusOr<Board> next = Ask(env);
    if (next.ok()) printer.Print(*next);
    missing = next.ok() ? next->streams.TellMissing(env) : next.status();
  }
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
