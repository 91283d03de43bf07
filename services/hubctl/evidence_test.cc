// Evidence bundles: what an export holds and asks, and that a check finds every change.
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "libs/client/testing/fake_hub.h"
#include "services/hubctl/evidence_bundle.h"
#include "services/hubctl/hubctl_kit_test.h"
#include "tests/catch.h"

namespace hub::hubctl {
namespace {

namespace v1 = ::fraudhub::v1;

// What the hub was asked, as "method purpose case".
struct Asked {
  std::vector<std::string> calls;
  template <class Request>
  void Note(const char* method, const Request& request) {
    calls.push_back(absl::StrCat(method, " ", request.purpose(), " ", request.case_ref()));
  }
};

// Knows one number, with a history of two pages. `version` is asked for each answer about the state.
client::FakeHubHooks Knowing(
    Asked* asked, std::function<int()> version = [] { return 3; }) {
  client::FakeHubHooks hooks;
  hooks.lookup = [=](const v1::LookupRequest& request, v1::LookupResponse* response) {
    asked->Note("Lookup", request);
    v1::LookupResult* result = response->add_results();
    result->set_verdict(v1::LOOKUP_VERDICT_INDICATOR);
    result->set_event_id(absl::StrCat("evt_", version()));
    return absl::OkStatus();
  };
  hooks.explain = [=](const v1::ExplainRequest& request, v1::ExplainResponse* response) {
    asked->Note("Explain", request);
    v1::Indicator* indicator = response->add_explanations()->mutable_indicator();
    indicator->mutable_identifier()->set_type(v1::IDENTIFIER_TYPE_MOBILE);
    indicator->mutable_identifier()->set_canonical("+915551234567");
    response->mutable_complete_until()->set_seconds(1'772'960'400);
    return absl::OkStatus();
  };
  hooks.list_events = [=](const v1::ListEventsRequest& request, v1::ListEventsResponse* response) {
    asked->Note("ListEvents", request);
    const bool first = request.page_token().empty();
    v1::HistoryEntry* entry = response->add_entries();
    entry->mutable_decided_at()->set_seconds(first ? 1'772'960'405 : 1'772'956'800);
    entry->set_event_kind(first ? v1::EVENT_KIND_LEVEL_RAISED : v1::EVENT_KIND_FLAGGED);
    entry->set_report_kind(v1::INPUT_KIND_FINANCIAL_FRAUD);
    entry->set_reporter("police-mh\nFORGED");
    if (first) response->set_next_page_token("more");
    return absl::OkStatus();
  };
  hooks.list_links = [=](const v1::ListLinksRequest& request, v1::ListLinksResponse*) {
    asked->Note("ListLinks", request);
    return absl::OkStatus();
  };
  return hooks;
}

Ran Export(const client::FakeHub& hub, const std::string& out) {
  return RunAt(hub.address(), {"evidence", "export", "MOBILE:5551234567", "--case", "FIR-12", "--out", out});
}

// A bundle, and its manifest's hash.
std::pair<std::string, std::string> Exported(const TestFiles& files) {
  Asked asked;
  client::FakeHub hub(Knowing(&asked));
  const Ran ran = RunAt(hub.address(), {"--output", "json", "evidence", "export", "MOBILE:5551234567", "--case",
                                        "FIR-12", "--out", files.Path("good")});
  INFO(ran.err);
  REQUIRE(ran.code == kDone);
  const size_t at = ran.out.find("manifestSha256\":\"") + 17;
  return {Slurp(files.Path("good")), ran.out.substr(at, 64)};
}

// Where a file's header is in the archive; its data is in the blocks that follow.
size_t HeaderOf(const std::string& tar, const std::string& path) {
  const size_t at = tar.find("evidence/" + path + std::string(1, '\0'));
  REQUIRE(at != std::string::npos);
  REQUIRE(at % 512 == 0);
  return at;
}
size_t BlocksOf(const std::string& tar, size_t header) {
  const size_t size = std::stoul(tar.substr(header + 124, 11), nullptr, 8);
  return 512 + (size + 511) / 512 * 512;
}
std::string FileIn(const std::string& tar, const std::string& path) {
  const size_t header = HeaderOf(tar, path);
  return tar.substr(header + 512, std::stoul(tar.substr(header + 124, 11), nullptr, 8));
}
// The blocks of a file under another name of the same length.
std::string Renamed(std::string blocks, const std::string& from, const std::string& to) {
  blocks.replace(blocks.find(from), from.size(), to);
  blocks.replace(148, 8, "        ");
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(blocks[i]);
  blocks.replace(148, 8, absl::StrFormat("%06o", sum) + std::string("\0 ", 2));
  return blocks;
}

Ran Verify(const TestFiles& files, const std::string& bytes, std::vector<std::string> more = {}) {
  std::vector<std::string> line = {"--output", "csv", "evidence", "verify", files.Write("checked", bytes)};
  line.insert(line.end(), more.begin(), more.end());
  return Run(line);
}

}  // namespace

TEST_CASE("An export asks with purpose and case, and holds the hub's answers", "[hubctl][evidence]") {
  const TestFiles files;
  Asked asked;
  client::FakeHub hub(Knowing(&asked));
  const Ran ran = Export(hub, files.Path("bundle"));
  INFO(ran.err);
  REQUIRE(ran.code == kDone);
  CHECK(asked.calls == std::vector<std::string>{"Lookup EVIDENCE_EXPORT FIR-12", "Explain EVIDENCE_EXPORT FIR-12",
                                                "ListEvents EVIDENCE_EXPORT FIR-12",
                                                "ListEvents EVIDENCE_EXPORT FIR-12", "ListLinks EVIDENCE_EXPORT FIR-12",
                                                "Lookup EVIDENCE_EXPORT FIR-12"});
  const std::string tar = Slurp(files.Path("bundle"));
  v1::ListEventsResponse page;
  CHECK(page.ParseFromString(FileIn(tar, "records/events-0001.pb")));
  CHECK(page.entries(0).event_kind() == v1::EVENT_KIND_LEVEL_RAISED);
  CHECK(Has(FileIn(tar, "records/events-0002.json"), "\"EVENT_KIND_FLAGGED\""));
  CHECK(Has(FileIn(tar, "export.json"), "\"identifier\":\"MOBILE:+915551234567\",\"case\":\"FIR-12\""));
  // Oldest first, Indian time, and nothing that somebody wrote passes for a line of ours.
  const std::string timeline = FileIn(tar, "timeline.txt");
  CHECK(Has(timeline, "    1  2026-03-08 13:30:00.000 IST  FLAGGED\n"));
  CHECK(Has(timeline, "    2  2026-03-08 14:30:05.000 IST  LEVEL_RAISED\n"));
  CHECK_FALSE(Has(timeline, "\nFORGED"));
  // Both parts of the certificate name each record with its hash.
  for (const char* part : {"certificate/part-a.txt", "certificate/part-b.txt"}) {
    const std::string text = FileIn(tar, part);
    CHECK(Has(text, "section 63(4)"));
    CHECK(Has(text, HexSha256(FileIn(tar, "records/explanation.pb")) + "\n       records/explanation.pb\n"));
  }
  // What it says of sha256sum is what sha256sum does: it doesn't see a file that the manifest doesn't name.
  const std::string expert = FileIn(tar, "certificate/part-b.txt");
  CHECK(Has(expert, "[ ] `hubctl evidence verify` found nothing altered, missing or added.\n"));
  CHECK(Has(expert, "[ ] `sha256sum -c MANIFEST.sha256` found nothing altered or missing.\n"));
  CHECK(Has(ran.out, HexSha256(FileIn(tar, kManifestName))));
}

TEST_CASE("An export wants a case, does not write over a file, and writes none about nothing", "[hubctl][evidence]") {
  const TestFiles files;
  Asked asked;
  client::FakeHub hub(Knowing(&asked));
  CHECK(RunAt(hub.address(), {"evidence", "export", "MOBILE:5551234567", "--out", files.Path("x")}).code == kUsage);
  CHECK(RunAt(hub.address(), {"evidence", "export", "MOBILE:5551234567", "--case", "C"}).code == kUsage);
  const Ran again = Export(hub, files.Write("x", "mine"));
  CHECK(again.code == kFailed);
  CHECK(Has(again.err, "not written over"));
  CHECK(Slurp(files.Path("x")) == "mine");
  CHECK(asked.calls.empty());
  CHECK(Export(hub, files.Path("no/such/folder")).code == kFailed);

  client::FakeHubHooks hooks;
  hooks.lookup = [](const v1::LookupRequest&, v1::LookupResponse* response) {
    response->add_results()->set_verdict(v1::LOOKUP_VERDICT_NO_INDICATOR);
    return absl::OkStatus();
  };
  hooks.explain = [](const v1::ExplainRequest&, v1::ExplainResponse*) { return absl::OkStatus(); };
  hooks.list_events = [](const v1::ListEventsRequest&, v1::ListEventsResponse*) { return absl::OkStatus(); };
  hooks.list_links = [](const v1::ListLinksRequest&, v1::ListLinksResponse*) { return absl::OkStatus(); };
  client::FakeHub nothing(hooks);
  CHECK(Export(nothing, files.Path("nothing")).code == kFailed);
  CHECK(Slurp(files.Path("nothing")).empty());
  for (const auto& [verdict, code] :
       {std::pair{v1::LOOKUP_VERDICT_UNKNOWN, kUnreachable}, std::pair{v1::LOOKUP_VERDICT_INVALID, kFailed}}) {
    hooks.lookup = [verdict = verdict](const v1::LookupRequest&, v1::LookupResponse* response) {
      response->add_results()->set_verdict(verdict);
      return absl::OkStatus();
    };
    client::FakeHub other(hooks);
    CHECK(Export(other, files.Path("nothing")).code == code);
  }
}

TEST_CASE("An export is of one moment, or asks again, or says that it can't", "[hubctl][evidence]") {
  const TestFiles files;
  Asked asked;
  int calls = 0;
  client::FakeHub settles(Knowing(&asked, [&] { return ++calls < 3 ? calls : 3; }));
  CHECK(Export(settles, files.Path("settles")).code == kDone);
  CHECK(asked.calls.size() == 12);
  client::FakeHub never(Knowing(&asked, [&] { return ++calls; }));
  CHECK(Export(never, files.Path("never")).code == kUnreachable);
  CHECK(Slurp(files.Path("never")).empty());
}

TEST_CASE("An answer that has no JSON makes no bundle", "[hubctl][evidence]") {
  const TestFiles files;
  Asked asked;
  client::FakeHubHooks hooks = Knowing(&asked);
  hooks.explain = [](const v1::ExplainRequest&, v1::ExplainResponse* response) {
    response->mutable_complete_until()->set_seconds(int64_t{1} << 50);  // beyond the year 9999
    return absl::OkStatus();
  };
  client::FakeHub hub(hooks);
  const Ran ran = Export(hub, files.Path("bundle"));
  CHECK(ran.code == kFailed);
  CHECK(Has(ran.err, "JSON"));
  CHECK(Slurp(files.Path("bundle")).empty());
}

TEST_CASE("What was exported verifies, with the manifest's hash and without", "[hubctl][evidence]") {
  const TestFiles files;
  const auto [tar, manifest] = Exported(files);
  const Ran ran = Verify(files, tar);
  INFO(ran.out << ran.err);
  CHECK(ran.code == kDone);
  CHECK(Has(ran.err, manifest));
  CHECK_FALSE(Has(ran.out, "ALTERED"));
  CHECK(Verify(files, tar, {"--manifest", manifest}).code == kDone);
  CHECK(Verify(files, tar, {"--manifest", std::string(64, '0')}).code == kFailed);
  // A hash that a script lost on its way must not pass for none asked for.
  for (const std::string& no_hash :
       {std::string(), std::string(" "), manifest.substr(1), manifest + "0", "x" + manifest.substr(1)}) {
    CHECK(Verify(files, tar, {"--manifest", no_hash}).code == kUsage);
  }
  CHECK(Has(Run({"--output", "json", "evidence", "verify", files.Path("good")}).out,
            "{\"file\":\"records/state.pb\",\"state\":\"INTACT\"}\n"));
}

TEST_CASE("One altered byte of any file is found, whichever it is", "[hubctl][evidence]") {
  const TestFiles files;
  const auto [good, manifest] = Exported(files);
  for (const char* path : {"records/state.pb", "records/events-0001.json", "timeline.txt", "README.txt", "export.json",
                           "certificate/part-a.txt"}) {
    std::string tar = good;
    tar[HeaderOf(tar, path) + 512] ^= 1;
    const Ran ran = Verify(files, tar);
    CHECK(ran.code == kFailed);
    CHECK(Has(ran.out, absl::StrCat("\n", path, ",ALTERED\n")));
  }
  // A file and its line in the manifest alike: nothing but the manifest's own hash tells.
  std::string tar = good;
  const std::string before = FileIn(tar, "timeline.txt");
  std::string after = before;
  after[0] = 't';
  tar =
      absl::StrReplaceAll(tar, {{before, after}, {HexSha256(before) + "  timeline", HexSha256(after) + "  timeline"}});
  CHECK(Verify(files, tar).code == kDone);
  const Ran told = Verify(files, tar, {"--manifest", manifest});
  CHECK(told.code == kFailed);
  CHECK(Has(told.err, "its manifest is not the one"));
}

TEST_CASE("A file removed, added, repeated or in place of another is found", "[hubctl][evidence]") {
  const TestFiles files;
  const std::string good = Exported(files).first;
  const size_t header = HeaderOf(good, "timeline.txt");
  const std::string blocks = good.substr(header, BlocksOf(good, header));

  std::string tar = good;
  const Ran removed = Verify(files, tar.erase(header, blocks.size()));
  CHECK(removed.code == kFailed);
  CHECK(Has(removed.out, "\ntimeline.txt,MISSING\n"));
  tar = good;
  const Ran added = Verify(files, tar.insert(header, Renamed(blocks, "timeline.txt", "extra-07.txt")));
  CHECK(added.code == kFailed);
  CHECK(Has(added.out, "\nextra-07.txt,ADDED\n"));
  tar = good;
  CHECK(Has(Verify(files, tar.insert(header, blocks)).out, "REPEATED"));
  // Out of the folder, and a link.
  tar = good;
  CHECK(Has(Verify(files, tar.insert(header, Renamed(blocks, "evidence/", "../../../"))).out, "NOT_A_FILE"));
  tar = good;
  std::string link = blocks;
  link[156] = '2';
  const Ran linked = Verify(files, tar.insert(header, Renamed(link, "timeline.txt", "extra-07.txt").substr(0, 512)));
  CHECK(linked.code == kFailed);
  // Behind the end, where tar doesn't look.
  CHECK(Has(Verify(files, good + blocks).err, "more in it than its files"));
  // The manifest itself.
  tar = good;
  const Ran bare = Verify(files, tar.erase(0, BlocksOf(good, 0)));
  CHECK(bare.code == kFailed);
  CHECK(Has(bare.err, "no manifest"));
}

TEST_CASE("An archive that was cut short or is none is found, wherever it was cut", "[hubctl][evidence]") {
  const TestFiles files;
  const std::string good = Exported(files).first;
  for (size_t size = 0; size < good.size(); size += 509) {
    CAPTURE(size);
    const Ran ran = Verify(files, good.substr(0, size));
    CHECK(ran.code == kFailed);
    CHECK(Has(ran.err, "not as it was exported"));
  }
  CHECK(Verify(files, good.substr(0, good.size() - 1)).code == kFailed);
  CHECK(Verify(files, std::string(100'000, 'x')).code == kFailed);
  CHECK(Run({"evidence", "verify", files.Path("absent")}).code == kFailed);
  CHECK(Run({"evidence", "verify", files.Path(".")}).code == kFailed);
}

}  // namespace hub::hubctl
