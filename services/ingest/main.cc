// hub-ingest: takes reports in; as many as wanted, on Kafka.
#include "services/hub/server_main.h"

int main(int argc, char** argv) { return hub::hub_service::ServerMain(hub::hub_service::kHubIngest, argc, argv); }
