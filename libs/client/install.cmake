# The SDK as others find it: cmake --install build/release --component sdk --prefix PREFIX, then
#
#   find_package(FraudHub REQUIRED)
#   target_link_libraries(mine PRIVATE FraudHub::client)
#
# Static libraries; what they stand on are Debian's packages, which FraudHubConfig.cmake looks for. Headers keep their names of the tree.
include(CMakePackageConfigHelpers)
set(sdk_config lib/cmake/FraudHub)
set(sdk_include include/fraudhub)

# The client and all below it (libs/layers.txt); hub_flags has nothing to give but has to be known.
set(sdk_targets hub_flags hub_proto hub_proto_grpc hub_client)
foreach(used IN ITEMS base model ${HUB_USES_client})
  list(APPEND sdk_targets hub_${used})
  foreach(below IN LISTS HUB_USES_${used})
    list(APPEND sdk_targets hub_${below})
  endforeach()
endforeach()
list(REMOVE_DUPLICATES sdk_targets)
foreach(target IN LISTS sdk_targets)
  string(REGEX REPLACE "^hub_" "" name ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
endforeach()
target_include_directories(hub_proto SYSTEM INTERFACE $<INSTALL_INTERFACE:${sdk_include}>)
install(TARGETS ${sdk_targets} EXPORT FraudHubTargets ARCHIVE DESTINATION lib/fraudhub COMPONENT sdk)
install(EXPORT FraudHubTargets NAMESPACE FraudHub:: DESTINATION ${sdk_config} COMPONENT sdk)

install(FILES connection.h lookup.h outbox.h reporter.h subscriber.h DESTINATION ${sdk_include}/libs/client COMPONENT sdk)
install(DIRECTORY ${CMAKE_BINARY_DIR}/gen/fraudhub/v1 DESTINATION ${sdk_include}/fraudhub COMPONENT sdk FILES_MATCHING PATTERN "*.pb.h")

write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/FraudHubConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES FraudHubConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/FraudHubConfigVersion.cmake DESTINATION ${sdk_config} COMPONENT sdk)
