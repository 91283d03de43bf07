#include "libs/access/principal.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/catch.h"

namespace hub::access {
namespace {

TEST_CASE("the hub's URI form has a domain, a stakeholder and a principal", "[access][uri]") {
  const auto parsed = ParseHubUri("fraudhub://dev.hub.example/bank-psb-01/analyst_1.a");
  REQUIRE(parsed.ok());
  CHECK(parsed->trust_domain == "dev.hub.example");
  CHECK(parsed->stakeholder == "bank-psb-01");
  CHECK(parsed->principal == "analyst_1.a");
}

TEST_CASE("every other form of URI is refused without repeating it", "[access][uri]") {
  const auto uri = GENERATE(values<std::string>({
      "",
      "fraudhub://",
      "fraudhub://dev.hub.example",
      "fraudhub://dev.hub.example/",
      "fraudhub://dev.hub.example/bank-1",
      "fraudhub://dev.hub.example/bank-1/",
      "fraudhub://dev.hub.example//main",
      "fraudhub:///bank-1/main",
      "fraudhub://dev.hub.example/bank-1/main/",
      "fraudhub://dev.hub.example/bank-1/main/more",
      "fraudhub://dev.hub.example:7443/bank-1/main",
      "fraudhub://user@dev.hub.example/bank-1/main",
      "fraudhub://dev.hub.example/bank-1/main?as=analyst",
      "fraudhub://dev.hub.example/bank-1/main#x",
      "fraudhub://dev.hub.example/bank%2d1/main",
      "fraudhub://dev.hub.example/../main",
      "fraudhub://dev.hub.example/bank-1/.",
      "fraudhub://dev.hub.example/bank 1/main",
      "fraudhub://DEV.hub.example/bank-1/main",
      "FRAUDHUB://dev.hub.example/bank-1/main",
      " fraudhub://dev.hub.example/bank-1/main",
      "fraudhub://dev.hub.example/bank-1/main\n",
      "fraudhub://dev.hub.example/b\xc3\xa4nk/main",
      "http://dev.hub.example/bank-1/main",
      "spiffe://dev.hub.example/bank-1/main",
      "fraudhub:/dev.hub.example/bank-1/main",
  }));
  CAPTURE(uri);
  const auto parsed = ParseHubUri(uri);
  CHECK(absl::IsInvalidArgument(parsed.status()));
  CHECK((uri.size() < 12 || parsed.status().message().find(uri) == absl::string_view::npos));
}

TEST_CASE("a NUL does not end a URI", "[access][uri]") {
  const std::string uri("fraudhub://dev.hub.example/bank-1/main\0evil", 43);
  CHECK_FALSE(ParseHubUri(uri).ok());
}

TEST_CASE("a URI of 256 bytes is the longest", "[access][uri]") {
  const std::string start = "fraudhub://dev.hub.example/bank-1/";
  CHECK(ParseHubUri(start + std::string(256 - start.size(), 'a')).ok());
  CHECK_FALSE(ParseHubUri(start + std::string(257 - start.size(), 'a')).ok());
}

}  // namespace
}  // namespace hub::access
