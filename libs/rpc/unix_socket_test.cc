// Servers on a socket file: who may come, what lies in its place at the start, and what is left at the end.
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fraudhub/v1/subscription.grpc.pb.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/rpc/listen_sockets.h"
#include "libs/rpc/server.h"
#include "tests/catch.h"
#include "tests/eventually.h"

namespace hub::rpc {
namespace {

namespace v1 = ::fraudhub::v1;
namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/hub-socket-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  std::string File(const std::string& name = "lookup.sock") const { return absl::StrCat(path_, "/", name); }

 private:
  std::string path_;
};

class WhoAmI final : public v1::SubscriptionService::Service {
 public:
  grpc::Status GetCursor(grpc::ServerContext* context, const v1::GetCursorRequest*,
                         v1::GetCursorResponse* response) override {
    response->mutable_state()->set_client_id(context->peer());
    return grpc::Status::OK;
  }
};

struct Stage {
  absl::Status Start(const std::string& address) {
    ServerOptions options;
    options.address = address;
    options.clear_for_this_machine = true;
    options.metrics = &metrics;
    auto started = Server::Start(options, {&service});
    if (started.ok()) server = *std::move(started);
    return started.status();
  }
  double Open(const char* stage) {
    return metrics.AddGauge("fraudhub_connections_open", "", {{"stage", stage}}).Value();
  }
  double Probes(const char* result) {
    return metrics.AddCounter("fraudhub_listener_probes_total", "", {{"result", result}}).Value();
  }

  base::Metrics metrics;
  WhoAmI service;
  std::unique_ptr<Server> server;
};

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& target) {
  static int distinct = 0;  // equal channels would share a connection
  grpc::ChannelArguments arguments;
  arguments.SetInt("hub.test.distinct", ++distinct);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

bool Answers(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);  // a socket's file is there a moment before anybody listens
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));  // tidy:clock-ok gRPC's deadline
  v1::GetCursorResponse response;
  return v1::SubscriptionService::NewStub(channel)->GetCursor(&context, {}, &response).ok();
}

// What a process that was killed leaves behind.
void LeaveSocket(const std::string& path) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof(name.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0);
  REQUIRE(listen(fd, 1) == 0);
  close(fd);
}

}  // namespace

TEST_CASE("A server on a socket file is called by its owner and group, and takes the file with it", "[rpc][unix]") {
  const Folder folder;
  const mode_t mask = umask(GENERATE(0077, 0));
  Stage stage;
  const absl::Status started = stage.Start(absl::StrCat("unix:", folder.File()));
  umask(mask);
  INFO(started.ToString());
  REQUIRE(started.ok());
  CHECK(stage.server->port() == 0);
  struct stat file = {};
  REQUIRE(stat(folder.File().c_str(), &file) == 0);
  CHECK((file.st_mode & 07777) == 0660);
  const auto one = ChannelTo(absl::StrCat("unix:", folder.File())),
             other = ChannelTo(absl::StrCat("unix:", folder.File()));
  CHECK(Answers(one));
  CHECK(Answers(other));
  // Nobody is taken for one that never calls, for gRPC can't tell who did.
  CHECK(Eventually([&] { return stage.Open("any") >= 2 && stage.Open("no call yet") == 0; }));
  CHECK(Eventually([&] { return stage.Probes("answered") >= 1; }));
  CHECK(stage.Probes("failed") == 0);
  stage.server->Drain([] {}, absl::Seconds(5));
  CHECK_FALSE(fs::exists(folder.File()));
}

TEST_CASE("A socket file that a dead process left is replaced, that of a living one is not", "[rpc][unix]") {
  const Folder folder;
  const std::string address = absl::StrCat("unix:", folder.File());
  LeaveSocket(folder.File());
  Stage stage, second;
  REQUIRE(stage.Start(address).ok());
  const absl::Status refused = second.Start(address);
  CHECK(absl::IsUnavailable(refused));
  CHECK(absl::StrContains(refused.message(), "another process listens there"));
  CHECK(Answers(ChannelTo(address)));
  stage.server.reset();
  CHECK_FALSE(fs::exists(folder.File()));
  CHECK(second.Start(address).ok());
}

TEST_CASE("A socket file that somebody removed is made again, once its folder is there", "[rpc][unix]") {
  const Folder folder;
  fs::create_directory(folder.File("run"));
  const std::string path = folder.File("run/lookup.sock");
  Stage stage;
  REQUIRE(stage.Start(absl::StrCat("unix:", path)).ok());
  const auto before = ChannelTo(absl::StrCat("unix:", path));
  REQUIRE(Answers(before));
  fs::remove(path);
  CHECK(Eventually([&] { return fs::exists(path); }));
  CHECK(Answers(ChannelTo(absl::StrCat("unix:", path))));
  CHECK(Answers(before));  // it lived through that
  fs::remove_all(folder.File("run"));
  CHECK(Eventually([&] { return stage.metrics.AddCounter("fraudhub_listener_reopen_failed_total", "").Value() > 0; }));
  fs::create_directory(folder.File("run"));
  CHECK(Eventually([&] { return fs::exists(path); }));
  CHECK(Answers(ChannelTo(absl::StrCat("unix:", path))));
}

TEST_CASE("At its end a server leaves what came in the place of its socket file", "[rpc][unix]") {
  const Folder folder;
  Stage stage;
  REQUIRE(stage.Start(absl::StrCat("unix:", folder.File())).ok());
  fs::remove(folder.File());
  std::ofstream(folder.File()) << "mine";
  stage.server.reset();
  CHECK(fs::exists(folder.File()));
}

TEST_CASE("What can't be a socket file is refused in words", "[rpc][unix]") {
  const Folder folder;
  std::ofstream(folder.File("notes")) << "mine";
  Stage stage;
  CHECK(absl::StrContains(stage.Start(absl::StrCat("unix:", folder.File("notes"))).message(),
                          "something else than a socket"));
  CHECK(fs::exists(folder.File("notes")));
  CHECK(absl::IsUnavailable(stage.Start(absl::StrCat("unix:", folder.File("no/folder/here")))));
  const std::string longest = absl::StrCat("/tmp/", std::string(102, 'x'));
  CHECK(UnixAddressProblem(absl::StrCat("unix:", longest)).empty());
  CHECK(UnixAddressProblem(absl::StrCat("unix:", longest, "x")) == "the path has 108 bytes, want at most 107");
  for (const char* bad : {"unix:", "unix:lookup.sock", "unix:/tmp/", "unix:/tmp/a,b"}) {
    INFO(bad);
    CHECK_FALSE(UnixAddressProblem(bad).empty());
    CHECK(absl::IsInvalidArgument(stage.Start(bad)));
  }
}

}  // namespace hub::rpc
