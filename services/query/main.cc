// hub-query: lookups, histories, corrections, on Kafka.
#include "services/hub/server_main.h"

int main(int argc, char** argv) { return hub::hub_service::ServerMain(hub::hub_service::kHubQuery, argc, argv); }
