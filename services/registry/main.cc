// hub-registry: decides; several share the partitions of the log, on Kafka.
#include "services/hub/server_main.h"

int main(int argc, char** argv) { return hub::hub_service::ServerMain(hub::hub_service::kHubRegistry, argc, argv); }
