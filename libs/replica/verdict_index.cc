#include "libs/replica/verdict_index.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "libs/base/hash.h"
#include "libs/replica/layered_table.h"

namespace hub::replica {
namespace {

using model::Level;

// Mobiles are numbered through. Those of the test range come last, in blocks of the table of their own (kTestNumber), since their texts come first.
constexpr uint64_t kBegin = 6'000'000'000, kEnd = 10'000'000'000;
constexpr uint64_t kTestBegin = 5'550'000'000, kTestCount = 10'000'000, kTestNumber = (uint64_t{1} << 32) - (1 << 24);

// The lower 32 bits of a mobile's word, never 0: level (3) | gone (1) | minute of the lapse (28).
constexpr int kMinuteBits = 28;
constexpr uint64_t kNever = (uint64_t{1} << kMinuteBits) - 1;
constexpr uint64_t kGone = uint64_t{1} << kMinuteBits;
constexpr int kLevelShift = kMinuteBits + 1;
constexpr int64_t kMinutesPerDay = 24 * 60;

// A mobile's byte: level (3) | day of the lapse, counted from the table's first (5).
constexpr int64_t kDayLater = 30;  // that day or later
constexpr int64_t kDayNever = 31;
constexpr int64_t kDaysMax = 25;  // then it is time to count from another day

int64_t MinuteOf(absl::Time time) { return absl::ToUnixSeconds(time) / 60; }

bool TestNumber(uint64_t ten_digits, uint64_t* number) {
  *number = ten_digits - kTestBegin + kTestNumber;
  return ten_digits >= kTestBegin && ten_digits - kTestBegin < kTestCount;
}

bool NumberOf(uint64_t ten_digits, uint64_t* number) {
  *number = ten_digits - kBegin;
  return *number < kEnd - kBegin || TestNumber(ten_digits, number);
}

// Canonical mobiles are "+91" and ten digits; anything else goes with the other kinds.
bool MobileOf(const model::Identifier& identifier, uint64_t* number) {
  const std::string& text = identifier.canonical;
  if (identifier.type != model::IdentifierType::kMobile || text.size() != 13 || text.compare(0, 3, "+91") != 0) {
    return false;
  }
  uint64_t digits = 0;
  for (size_t i = 3; i < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    digits = digits * 10 + static_cast<uint64_t>(text[i] - '0');
  }
  return NumberOf(digits, number);
}

uint64_t Payload(Level level, absl::Time lapses_at) {
  uint64_t minute = kNever;
  if (lapses_at != absl::InfiniteFuture()) {
    minute = static_cast<uint64_t>(std::clamp<int64_t>(MinuteOf(lapses_at), 1, static_cast<int64_t>(kNever) - 1));
  }
  return static_cast<uint64_t>(level) << kLevelShift | minute;
}

struct MobileTraits {
  using Suffix = uint16_t;
  static constexpr bool kHasByte = true;
  static bool Gone(uint64_t payload) { return (payload & kGone) != 0; }
  static uint8_t Byte(uint64_t payload, int64_t first_day) {
    const auto level = static_cast<int64_t>(payload >> kLevelShift);
    const uint64_t minute = payload & kNever;
    if (minute == kNever) return static_cast<uint8_t>(level << 5 | kDayNever);
    const int64_t day = static_cast<int64_t>(minute) / kMinutesPerDay - first_day;
    // Lapsed before the table's first day: for ever.
    if (day < 0) return static_cast<uint8_t>(static_cast<int64_t>(Level::kNone) << 5 | kDayNever);
    return static_cast<uint8_t>(level << 5 | std::min(day, kDayLater));
  }
};

struct OtherTraits {
  using Suffix = uint32_t;
  static constexpr bool kHasByte = false;
  static bool Gone(uint64_t /*payload*/) { return false; }
  static uint8_t Byte(uint64_t /*payload*/, int64_t /*context*/) { return 0; }
};

using Mobiles = LayeredTable<MobileTraits>;
static_assert(kEnd - kBegin <= kTestNumber && kTestNumber % Mobiles::kBlockKeys == 0);
using Others = LayeredTable<OtherTraits>;
constexpr uint64_t kThere = 1;

IndexVerdict FromMinute(Level level, uint64_t minute, int64_t now_minute) {
  if (minute == kNever || now_minute < static_cast<int64_t>(minute)) return {IndexVerdict::Kind::kPresent, level};
  if (now_minute > static_cast<int64_t>(minute)) return {IndexVerdict::Kind::kPresent, Level::kNone};
  return {IndexVerdict::Kind::kAskStore, level};
}

IndexVerdict FromByte(uint8_t byte, int64_t now_day) {
  const auto level = static_cast<Level>(byte >> 5);
  const int64_t day = byte & 31;
  if (day == kDayNever || now_day < day) return {IndexVerdict::Kind::kPresent, level};
  if (now_day > day && day != kDayLater) return {IndexVerdict::Kind::kPresent, Level::kNone};
  return {IndexVerdict::Kind::kAskStore, level};
}

}  // namespace

struct VerdictIndex::Impl {
  explicit Impl(const VerdictIndexOptions& o)
      : options(o), mobiles(&readers, o.fresh_slots, o.noted_max), others(&readers, o.fresh_slots, o.noted_max) {}

  uint64_t OtherOf(const model::Identifier& identifier) const {
    return base::Mix64(identifier.canonical, options.hash_key ^ static_cast<uint64_t>(identifier.type)) >> 16;
  }

  IndexVerdict FromTable(uint8_t byte, int64_t now_seconds) const {
    return FromByte(byte, now_seconds / 60 / kMinutesPerDay - first_day.load(std::memory_order_acquire));
  }

  const VerdictIndexOptions options;
  Readers readers;
  Mobiles mobiles;
  Others others;
  std::atomic<int64_t> first_day{
      0};  // changes only while neither table is complete; a reader wants it before its second look at the era
  std::vector<uint64_t> loaded_others;
};

VerdictIndex::VerdictIndex(const VerdictIndexOptions& options) : impl_(std::make_unique<Impl>(options)) {}
VerdictIndex::~VerdictIndex() = default;

void VerdictIndex::Put(const model::Identifier& identifier, Level level, absl::Time lapses_at) {
  uint64_t number = 0;
  const int64_t first_day = impl_->first_day.load(std::memory_order_relaxed);
  if (MobileOf(identifier, &number)) {
    impl_->mobiles.Put(number << Mobiles::kPayloadBits | Payload(level, lapses_at), first_day);
  } else {
    impl_->others.Put(impl_->OtherOf(identifier) << Others::kPayloadBits | kThere, first_day);
  }
}

void VerdictIndex::Remove(const model::Identifier& identifier) {
  uint64_t number = 0;
  // Another identifier may have the same 48 bits: what isn't a mobile stays.
  if (!MobileOf(identifier, &number)) return;
  impl_->mobiles.Put(number << Mobiles::kPayloadBits | kGone | kNever,
                     impl_->first_day.load(std::memory_order_relaxed));
}

void VerdictIndex::BeginLoad(absl::Time now) {
  impl_->mobiles.BeginLoad();
  impl_->others.BeginLoad();
  impl_->first_day.store(MinuteOf(now) / kMinutesPerDay, std::memory_order_release);  // after the change of era
  impl_->loaded_others.clear();
}

void VerdictIndex::Load(const model::Identifier& identifier, Level level, absl::Time lapses_at) {
  uint64_t number = 0;
  if (MobileOf(identifier, &number)) {
    impl_->mobiles.Load(number << Mobiles::kPayloadBits | Payload(level, lapses_at),
                        impl_->first_day.load(std::memory_order_relaxed));
  } else {
    impl_->loaded_others.push_back(impl_->OtherOf(identifier) << Others::kPayloadBits | kThere);
  }
}

bool VerdictIndex::FinishLoad() {
  std::sort(impl_->loaded_others.begin(), impl_->loaded_others.end());
  for (const uint64_t word : impl_->loaded_others) impl_->others.Load(word, 0);
  std::vector<uint64_t>().swap(impl_->loaded_others);
  const bool others = impl_->others.FinishLoad(0);
  return impl_->mobiles.FinishLoad(impl_->first_day.load(std::memory_order_relaxed)) && others;
}

bool VerdictIndex::WantsLoad(absl::Time now) const {
  if (impl_->mobiles.loading()) return false;
  return !impl_->mobiles.complete() || !impl_->others.complete() ||
         MinuteOf(now) / kMinutesPerDay - impl_->first_day.load(std::memory_order_relaxed) > kDaysMax;
}

std::unique_ptr<VerdictIndex::Reader> VerdictIndex::NewReader() {
  ReaderSlot* const slot = impl_->readers.Claim();
  if (slot == nullptr) return nullptr;
  return std::unique_ptr<Reader>(new Reader(impl_.get(), slot));
}

size_t VerdictIndex::mobiles() const { return impl_->mobiles.size(); }
size_t VerdictIndex::others() const { return impl_->others.size(); }
size_t VerdictIndex::mobile_bytes() const { return impl_->mobiles.bytes(); }
size_t VerdictIndex::bytes() const {
  return impl_->mobiles.bytes() + impl_->others.bytes() + impl_->readers.retired_bytes() +
         impl_->loaded_others.capacity() * sizeof(uint64_t);
}

VerdictIndex::Reader::~Reader() { index_->readers.Release(slot_); }

void VerdictIndex::Reader::Enter() {
  index_->readers.Enter(slot_);
  looking_ = slot_;
}

void VerdictIndex::Reader::Idle() {
  index_->readers.Idle(slot_);
  looking_ = nullptr;
}

IndexVerdict VerdictIndex::Reader::GetMobile(uint64_t ten_digits, int64_t now_seconds) {
  const uint64_t number = ten_digits - kBegin;
  if (number >= kEnd - kBegin || looking_ == nullptr) [[unlikely]]
    return GetNumberSlowly(number, now_seconds);
  Impl* const index = index_;
  index->readers.Next(looking_);
  Mobiles::Glimpse glimpse;
  if (!index->mobiles.Glance(number, &glimpse)) [[unlikely]]
    return glimpse.word != 0 ? FromUneven(number, now_seconds, glimpse.word) : GetNumberSlowly(number, now_seconds);
  if (glimpse.equal == 0) return {IndexVerdict::Kind::kAbsent, Level::kNone};
  return FromGlimpse(number, now_seconds, glimpse.word, glimpse.equal);
}

IndexVerdict VerdictIndex::Reader::FromGlimpse(uint64_t number, int64_t now_seconds, uint64_t word, uint32_t equal) {
  const Mobiles::Glimpse glimpse{word, equal};
  uint8_t byte = 0;
  if (!Mobiles::Resolve(number, glimpse, &byte)) [[unlikely]]
    return GetNumberSlowly(number, now_seconds);
  const IndexVerdict verdict = index_->FromTable(byte, now_seconds);
  // A load that began meanwhile counts days from another one.
  return index_->mobiles.Stands(number, glimpse) ? verdict : GetNumberSlowly(number, now_seconds);
}

IndexVerdict VerdictIndex::Reader::FromUneven(uint64_t number, int64_t now_seconds, uint64_t word) {
  uint8_t byte = 0;
  if (!Mobiles::FindIn(number, word, &byte)) return {IndexVerdict::Kind::kAbsent, Level::kNone};
  const IndexVerdict verdict = index_->FromTable(byte, now_seconds);
  return index_->mobiles.Stands(number, {word, 0}) ? verdict : GetNumberSlowly(number, now_seconds);
}

IndexVerdict VerdictIndex::Reader::GetNumberSlowly(uint64_t number, int64_t now_seconds) {
  if (number >= kEnd - kBegin && !TestNumber(number + kBegin, &number))
    return {IndexVerdict::Kind::kAbsent, Level::kNone};
  looking_ != nullptr ? index_->readers.Next(looking_) : Enter();
  const uint64_t era = index_->mobiles.era();
  if (era % 2 != 0) return {};
  const Mobiles::Found found = index_->mobiles.Find(number);
  IndexVerdict verdict{IndexVerdict::Kind::kAbsent, Level::kNone};
  if (found.where == Mobiles::Found::Where::kTable) {
    verdict = index_->FromTable(found.byte, now_seconds);
  } else if (found.where == Mobiles::Found::Where::kFresh) {
    verdict = FromMinute(static_cast<Level>(found.payload >> kLevelShift), found.payload & kNever, now_seconds / 60);
  }
  // A load that began meanwhile has taken things away.
  return index_->mobiles.era() == era ? verdict : IndexVerdict{};
}

IndexVerdict VerdictIndex::Reader::Get(const model::Identifier& identifier, absl::Time now) {
  uint64_t number = 0;
  if (MobileOf(identifier, &number)) {
    return GetMobile(number >= kTestNumber ? number - kTestNumber + kTestBegin : number + kBegin,
                     absl::ToUnixSeconds(now));
  }
  looking_ != nullptr ? index_->readers.Next(looking_) : Enter();
  const uint64_t era = index_->others.era();
  if (era % 2 != 0) return {};
  const Others::Found found = index_->others.Find(index_->OtherOf(identifier));
  const bool absent = found.where == Others::Found::Where::kNowhere && index_->others.era() == era;
  return {absent ? IndexVerdict::Kind::kAbsent : IndexVerdict::Kind::kAskStore, Level::kNone};
}

}  // namespace hub::replica
