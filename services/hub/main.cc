// hub-all: the whole hub in one process, over the embedded log or Kafka.
#include "services/hub/server_main.h"

int main(int argc, char** argv) { return hub::hub_service::ServerMain(hub::hub_service::kHubAll, argc, argv); }
