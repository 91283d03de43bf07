# The SDK as others find it: cmake --install build/release --component sdk --prefix PREFIX, then
#
#   find_package(FraudHub REQUIRED)
#   target_link_libraries(mine PRIVATE FraudHub::client)
#
# Headers: fraudhub/*.h, which need nothing but the standard library, and the messages in fraudhub/v1/*.pb.h, which need protobuf's.
# Static libraries; what they stand on are Debian's packages, which FraudHubConfig.cmake looks for.
include(CMakePackageConfigHelpers)
set(sdk_config lib/cmake/FraudHub)
set(sdk_include include)

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

file(GLOB sdk_headers CONFIGURE_DEPENDS fraudhub/*.h)
list(FILTER sdk_headers EXCLUDE REGEX "/translate\\.h$") # speaks absl
install(FILES ${sdk_headers} DESTINATION ${sdk_include}/fraudhub COMPONENT sdk)
install(DIRECTORY ${CMAKE_BINARY_DIR}/gen/fraudhub/v1 DESTINATION ${sdk_include}/fraudhub COMPONENT sdk FILES_MATCHING PATTERN "*.pb.h"
  PATTERN "*.grpc.pb.h" EXCLUDE)

write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/FraudHubConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES FraudHubConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/FraudHubConfigVersion.cmake DESTINATION ${sdk_config} COMPONENT sdk)
