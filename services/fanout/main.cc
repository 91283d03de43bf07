// hub-fanout: streams to subscribers, any of whom it may serve; as many as wanted, on Kafka.
#include "services/hub/server_main.h"

int main(int argc, char** argv) { return hub::hub_service::ServerMain(hub::hub_service::kHubFanout, argc, argv); }
