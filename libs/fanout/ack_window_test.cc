#include "libs/fanout/ack_window.h"

#include <deque>
#include <random>

#include "absl/random/distributions.h"
#include "libs/fanout/unacked.h"
#include "tests/catch.h"

namespace hub::fanout {
namespace {

constexpr absl::Duration kStep = absl::Milliseconds(1);

struct Client {
  double bytes_per_second = 1e8;
  absl::Duration rtt = absl::Milliseconds(20);
  // It acknowledges what it has this long after the last time, or once it has so many bytes more.
  absl::Duration ack_interval = absl::Milliseconds(10);
  size_t ack_bytes = 0;
  absl::Duration jitter;  // an acknowledgement takes up to so much longer
  // Now and then, for up to so long, the line stands still, or the client has no processor to answer with.
  absl::Duration line_pause, client_pause;
};

// Something stands still for up to so long, a tenth of the time.
class Pauses {
 public:
  bool Now(absl::Duration now, absl::Duration most, std::mt19937& random) {
    if (most > absl::ZeroDuration() && now >= next_at_) {
      next_at_ = now + absl::Uniform(random, 0.0, 2.0) * 5 * most;
      until_ = now + absl::Uniform(random, 0.0, 1.0) * most;
    }
    return now < until_;
  }

 private:
  absl::Duration next_at_ = absl::Seconds(1), until_;
};

// A hub with more to send than goes through, the line, and the client; on a clock of its own.
class Line {
 public:
  explicit Line(const Client& client, size_t client_max = AckWindow::kMax, unsigned seed = 7)
      : client_(client), unacked_(client_max, At(0)), random_(seed) {}

  void Be(const Client& client) { client_ = client; }
  // The hub has so many streams that this one can send one message so often.
  void TurnsCome(absl::Duration every) { turn_interval_ = every; }
  void Run(absl::Duration duration) {
    for (const absl::Duration end = now_ + duration; now_ < end; now_ += kStep) {
      Send();
      Receive();
      Acknowledge();
    }
  }
  size_t window() const { return unacked_.window().bytes(); }
  // How long what is sent next stands behind what is on its way.
  absl::Duration queue() const {
    return absl::Seconds(static_cast<double>(unacked_.bytes()) / client_.bytes_per_second);
  }
  size_t received_bytes() const { return received_bytes_; }

 private:
  struct Message {
    size_t bytes;
    eventlog::Offset offset;
  };
  struct Ack {
    absl::Duration at;
    eventlog::Offset offset;
  };
  static wire::Cursor At(eventlog::Offset offset) {
    wire::Cursor cursor;
    cursor.positions = {{0, offset, 1}};
    return cursor;
  }
  void Send() {
    unacked_.CheckSilence(now_);
    if (now_ < turn_at_) return;
    turn_at_ = now_ + turn_interval_;
    while (!unacked_.full()) {
      const size_t bytes = std::min<size_t>(unacked_.MessageBytes(now_), 128 * 1024);
      unacked_.Sent(bytes, At(++sent_), now_);
      on_line_.push_back({bytes, sent_});
      if (turn_interval_ > absl::ZeroDuration()) return;
    }
  }
  void Receive() {
    if (line_pauses_.Now(now_, client_.line_pause, random_)) return;
    room_ += client_.bytes_per_second * absl::ToDoubleSeconds(kStep);
    for (; !on_line_.empty() && static_cast<double>(on_line_.front().bytes) <= room_; on_line_.pop_front()) {
      room_ -= static_cast<double>(on_line_.front().bytes);
      received_ = on_line_.front().offset;
      received_bytes_ += on_line_.front().bytes;
      unacknowledged_ += on_line_.front().bytes;
    }
    if (on_line_.empty()) room_ = 0;
  }
  void Acknowledge() {
    if (client_pauses_.Now(now_, client_.client_pause, random_)) return;
    const bool due =
        client_.ack_bytes > 0 ? unacknowledged_ >= client_.ack_bytes : now_ >= acked_at_ + client_.ack_interval;
    if (unacknowledged_ > 0 && due) {
      const absl::Duration at = now_ + client_.rtt + absl::Uniform(random_, 0.0, 1.0) * client_.jitter;
      acks_.push_back({acks_.empty() ? at : std::max(at, acks_.back().at), received_});
      acked_at_ = now_;
      unacknowledged_ = 0;
    }
    for (; !acks_.empty() && acks_.front().at <= now_; acks_.pop_front()) unacked_.Acked({acks_.front().offset}, now_);
  }

  Client client_;
  UnackedWindow unacked_;
  absl::Duration now_, turn_interval_, turn_at_;
  eventlog::Offset sent_ = 0, received_ = 0;
  size_t received_bytes_ = 0, unacknowledged_ = 0;
  double room_ = 0;
  absl::Duration acked_at_;
  std::deque<Message> on_line_;
  std::deque<Ack> acks_;
  Pauses line_pauses_, client_pauses_;
  std::mt19937 random_;
};

constexpr Client kFast{};
constexpr Client kSlow{.bytes_per_second = 8000, .rtt = absl::Milliseconds(300)};  // 64 kbit/s

TEST_CASE("The window of a fast client grows to its bound, and no further than the client allows", "[fanout][window]") {
  Line line(kFast);
  CHECK(line.window() == AckWindow::kStart);
  line.Run(absl::Seconds(2));
  CHECK(line.window() == AckWindow::kMax);
  Line modest(kFast, 100'000);
  modest.Run(absl::Seconds(2));
  CHECK(modest.window() == 100'000);
  Line tiny(kFast, 1);
  tiny.Run(absl::Seconds(2));
  CHECK(tiny.window() == 1);
  CHECK(tiny.received_bytes() > 50 * 3072);  // one message always may go
}

TEST_CASE("A slow client has seconds of bytes on its way, not megabytes", "[fanout][window]") {
  Line line(kSlow);
  line.Run(absl::Seconds(60));
  CHECK(line.window() < 2 * AckWindow::kMin);
  CHECK(line.queue() < absl::Seconds(4));
  CHECK(line.received_bytes() > 57 * 8000);  // and the line is never idle
}

TEST_CASE("What is urgent for a client that is new on a slow line stands behind a few seconds of bytes from the first", "[fanout][window]") {
  Line line(kSlow);
  for (int i = 0; i < 100; ++i) {
    line.Run(absl::Milliseconds(100));
    CHECK(line.queue() < absl::Seconds(5));
  }
}

// Where processors are short, turns, answers and the line itself stand still for a moment; what is measured of a line must not run away with it.
TEST_CASE("A slow line's window stays small, whatever stands still for a moment", "[fanout][window]") {
  constexpr unsigned kSeeds = 10;
  for (const double speed : {8000.0, 20000.0}) {
    for (const absl::Duration turns : {absl::ZeroDuration(), absl::Milliseconds(100), absl::Milliseconds(500)}) {
      for (const absl::Duration ack_interval : {absl::Milliseconds(100), absl::Seconds(1)}) {
        for (const absl::Duration pause : {absl::ZeroDuration(), absl::Milliseconds(500), absl::Seconds(2)}) {
          absl::Duration sum, longest;
          size_t received = 0;
          for (unsigned seed = 0; seed < kSeeds; ++seed) {
            Line line({.bytes_per_second = speed, .ack_interval = ack_interval, .line_pause = pause, .client_pause = pause}, AckWindow::kMax, seed);
            line.TurnsCome(turns);
            absl::Duration most;
            for (int i = 0; i < 600; ++i) {
              line.Run(absl::Milliseconds(100));
              most = std::max(most, line.queue());
            }
            sum += most;
            longest = std::max(longest, most);
            received += line.received_bytes();
          }
          INFO(speed << " B/s, turns " << turns << ", acknowledges each " << ack_interval << ", pauses " << pause << ", longest " << longest);
          CHECK(sum / kSeeds < absl::Seconds(8));
          CHECK(longest < absl::Seconds(pause > absl::Seconds(1) ? 20 : 12));
          CHECK(static_cast<double>(received) > 0.7 * kSeeds * 60 * speed);  // a tenth of the time it stands still
        }
      }
    }
  }
}

TEST_CASE("A client that becomes slow gets a small window, one that becomes fast a large one", "[fanout][window]") {
  Line line(kFast);
  line.Run(absl::Seconds(2));
  REQUIRE(line.window() == AckWindow::kMax);
  line.Be({.bytes_per_second = 500'000});
  line.Run(absl::Seconds(30));
  CHECK(line.window() < 700'000);
  CHECK(line.window() > 400'000);
  line.Be(kFast);
  line.Run(absl::Seconds(10));
  CHECK(line.window() == AckWindow::kMax);
}

TEST_CASE("A client that is new has a large window within a second or two", "[fanout][window]") {
  Line quick({.rtt = absl::Milliseconds(50), .ack_interval = absl::Milliseconds(100)});
  quick.Run(absl::Seconds(1));
  CHECK(quick.window() > 2'000'000);
  Line patient({.ack_interval = absl::Seconds(1)});
  patient.Run(absl::Seconds(8));
  CHECK(patient.window() > 1'000'000);
}

TEST_CASE("A window of a second's bytes keeps the line of a middling client full", "[fanout][window]") {
  Line line({.bytes_per_second = 1e6, .rtt = absl::Milliseconds(150), .ack_interval = absl::Milliseconds(500)});
  line.Run(absl::Seconds(10));
  const size_t before = line.received_bytes();
  line.Run(absl::Seconds(10));
  CHECK(line.received_bytes() - before > 9'500'000);
  CHECK(line.window() < 1'700'000);
}

TEST_CASE("A client that acknowledges every five seconds is not starved", "[fanout][window]") {
  Line line({.bytes_per_second = 1e6, .ack_interval = absl::Seconds(5)});
  line.Run(absl::Seconds(60));
  const size_t before = line.received_bytes();
  line.Run(absl::Seconds(20));
  CHECK(line.received_bytes() - before > 12'000'000);
}

// Where processors are short everything is late, and fewer bytes under way make nothing earlier.
TEST_CASE("A client that answers late, though its line is quick, is not starved", "[fanout][window]") {
  const absl::Duration ack_interval = absl::Milliseconds(500);
  constexpr unsigned kSeeds = 20;
  for (const bool from_the_first : {false, true}) {
    for (const absl::Duration jitter : {absl::ZeroDuration(), absl::Seconds(2)}) {
      const Client late{.bytes_per_second = 1e6, .rtt = absl::Milliseconds(1300), .ack_interval = ack_interval, .jitter = jitter};
      size_t received = 0;
      for (unsigned seed = 0; seed < kSeeds; ++seed) {
        Line line(from_the_first ? late : Client{.bytes_per_second = 1e6, .ack_interval = ack_interval}, AckWindow::kMax, seed);
        line.Run(absl::Seconds(10));
        line.Be(late);
        line.Run(absl::Seconds(80));
        const size_t before = line.received_bytes();
        line.Run(absl::Seconds(30));
        received += line.received_bytes() - before;
        // Later it is quick again.
        line.Be({.bytes_per_second = 1e6, .ack_interval = ack_interval});
        line.Run(absl::Seconds(60));
        INFO(from_the_first << " " << jitter << " seed " << seed << " window " << line.window());
        CHECK(line.queue() < absl::Milliseconds(2000));
      }
      INFO(from_the_first << " " << jitter);
      CHECK(received / kSeeds > 15'000'000);
    }
  }
}

// Thousands that open at once: at first everything takes seconds, and the next probe is far away.
TEST_CASE("A client that acknowledges once a second and was late when it was new soon has a window again", "[fanout][window]") {
  const Client quick{.bytes_per_second = 1e6, .rtt = absl::Milliseconds(300), .ack_interval = absl::Seconds(1)};
  for (const absl::Duration late : {absl::Seconds(2), absl::Seconds(4), absl::Seconds(6)}) {
    Client at_first = quick;
    at_first.jitter = late;
    Line line(at_first);
    line.Run(absl::Seconds(12));
    line.Be(quick);
    line.Run(absl::Seconds(5));
    const size_t before = line.received_bytes();
    line.Run(absl::Seconds(3));
    INFO(late << " window " << line.window());
    CHECK(line.received_bytes() - before > 250'000);
  }
}

// Of thousands of streams on two cores each has a turn every few hundred milliseconds, and needs what came by since.
TEST_CASE("Where turns are rare a message holds what the window lets through from one to the next", "[fanout][window]") {
  for (const absl::Duration every : {absl::Milliseconds(300), absl::Milliseconds(600), absl::Milliseconds(900)}) {
    Line line({.bytes_per_second = 1e6, .ack_interval = absl::Seconds(1)});
    line.TurnsCome(every);
    line.Run(absl::Seconds(15));
    const size_t before = line.received_bytes();
    line.Run(absl::Seconds(10));
    INFO(every << " window " << line.window());
    CHECK(line.received_bytes() - before > 1'100'000);
  }
}

TEST_CASE("A new client whose turns are rare and who answers as often has a window for its line", "[fanout][window]") {
  Line line({.bytes_per_second = 1e6, .ack_interval = absl::Milliseconds(100)});
  line.TurnsCome(absl::Milliseconds(100));
  line.Run(absl::Seconds(10));
  const size_t before = line.received_bytes();
  line.Run(absl::Seconds(10));
  CHECK(line.received_bytes() - before > 8'000'000);
}

// As when thousands come back at once: held to one small window per answer it would not even keep up with what is new.
TEST_CASE("A client that answers after seconds from the first catches up all the same", "[fanout][window]") {
  for (const absl::Duration late : {absl::Seconds(3), absl::Seconds(4), absl::Seconds(6)}) {
    Line line({.bytes_per_second = 1e6, .rtt = late, .ack_interval = absl::Milliseconds(100)});
    line.Run(absl::Seconds(30));
    INFO(late << " window " << line.window());
    CHECK(line.received_bytes() > 300'000);
  }
}

TEST_CASE("A client that waits for more bytes than the window before it acknowledges is waited for a few seconds",
          "[fanout][window]") {
  Line line({.ack_bytes = 1'000'000});
  line.Run(absl::Seconds(9));
  CHECK(line.received_bytes() < 1'000'000);
  line.Run(absl::Seconds(5));
  CHECK(line.received_bytes() > 1'000'000);
}

// A probe would make a stream that is current wait for seconds.
TEST_CASE("A window that is full for a moment is not looked into", "[fanout][window]") {
  AckWindow window;
  absl::Duration now = absl::Seconds(1);
  const auto acknowledge = [&](absl::Duration took) {
    const size_t before = window.bytes();
    now += took;
    window.OnAck({now - took, now, now - took, now - took, 100'000, 100'000, before, took > absl::Seconds(1)});
    return static_cast<double>(window.bytes()) / static_cast<double>(before);
  };
  for (int i = 0; i < 10; ++i) acknowledge(absl::Milliseconds(100));
  now += absl::Seconds(30);
  acknowledge(absl::Milliseconds(100));
  for (int i = 0; i < 3; ++i) CHECK(acknowledge(absl::Milliseconds(1200)) > 0.5);
  double least = 1;
  for (int i = 0; i < 5; ++i) least = std::min(least, acknowledge(absl::Milliseconds(1200)));
  CHECK(least < 0.5);
}

TEST_CASE("A quiet session proves nothing about its client", "[fanout][window]") {
  AckWindow window;
  absl::Duration now = absl::Seconds(1);
  const auto acknowledge = [&](size_t bytes, absl::Duration took, bool full) {
    now += took;
    window.OnAck({now - took, now, now - took, now - took, bytes, bytes, window.bytes(), full});
  };
  acknowledge(200'000, absl::Milliseconds(100), true);
  CHECK(window.bytes() == 2'000'000);
  for (int i = 0; i < 100; ++i) acknowledge(200, absl::Seconds(1), false);
  CHECK(window.bytes() == 2'000'000);
  for (int i = 0; i < 100; ++i) acknowledge(20'000, absl::Seconds(1), true);
  CHECK(window.bytes() < 31'000);
}

}  // namespace
}  // namespace hub::fanout
