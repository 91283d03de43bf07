# How this tree builds: one function per kind of target, the layer check, the flags.

# --- flags -------------------------------------------------------------------------------------
add_compile_options(-pthread) # some packages bring it, and a precompiled header must be compiled as its users are
add_library(hub_flags INTERFACE)
target_compile_options(hub_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers
  -fno-omit-frame-pointer)
target_compile_definitions(hub_flags INTERFACE _GLIBCXX_ASSERTIONS)
if(HUB_SANITIZE)
  add_compile_options(-fsanitize=${HUB_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HUB_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  # Hardening as the OpenSSF compiler guide lists it; FORTIFY needs optimisation.
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection
    -fcf-protection=full -ftrivial-auto-var-init=zero)
  add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(hub_flags INTERFACE -Wthread-safety -Werror=thread-safety)
endif()

# --- layers ------------------------------------------------------------------------------------
# libs/layers.txt is the one table of what may use what; tests/tidy/tidy.sh reads the same file.
# A line: LAYER LIB USED-LIBS...   ("#" starts a comment). Layers 0 and 1 are usable by all above them.
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/layers.txt hub_layer_lines REGEX "^[0-9]")
set(HUB_BASEMENT "")
foreach(line IN LISTS hub_layer_lines)
  separate_arguments(words UNIX_COMMAND "${line}")
  list(POP_FRONT words layer lib)
  set(HUB_LAYER_${lib} ${layer})
  set(HUB_USES_${lib} ${words})
  if(layer LESS 2)
    list(APPEND HUB_BASEMENT ${lib})
  endif()
endforeach()
foreach(line IN LISTS hub_layer_lines)
  separate_arguments(words UNIX_COMMAND "${line}")
  list(POP_FRONT words layer lib)
  foreach(used IN LISTS words)
    if(NOT HUB_LAYER_${used} LESS layer)
      message(FATAL_ERROR "libs/layers.txt: ${lib} (layer ${layer}) may not use ${used}: arrows go down only")
    endif()
  endforeach()
endforeach()

# --- precompiled headers -----------------------------------------------------------------------
# Half of a build is reading the same headers again. Third-party ones and the API's generated code only, never our own. Presets asan, debug and
# clang-safety go without, so that a file that forgets an include is found.
option(HUB_PCH "Precompile the third-party headers that most files include" OFF)
set(HUB_PCH_HEADERS <algorithm> <atomic> <cstdint> <deque> <functional> <map> <memory> <optional> <set> <string> <utility> <variant> <vector>
  <absl/container/flat_hash_map.h> <absl/container/flat_hash_set.h> <absl/status/status.h> <absl/status/statusor.h>
  <absl/strings/match.h> <absl/strings/str_cat.h> <absl/strings/str_format.h> <absl/strings/str_join.h> <absl/strings/str_split.h>
  <absl/strings/string_view.h> <absl/time/time.h> <absl/types/span.h>)
set(HUB_PCH_GRPC <grpcpp/grpcpp.h> <fraudhub/v1/lookup.grpc.pb.h> <fraudhub/v1/operations.grpc.pb.h> <fraudhub/v1/report.grpc.pb.h>
  <fraudhub/v1/subscription.grpc.pb.h>)

# One per set of flags and headers: hub_pch libraries, hub_pch_service services and libraries that know gRPC, hub_pch_command command lines,
# hub_pch_test tests, hub_pch_service_test tests that know gRPC.
function(hub_make_pch)
  if(NOT HUB_PCH)
    return()
  endif()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/pch.cc CONTENT "int main() {}\n")
  set(absl absl::flat_hash_map absl::flat_hash_set absl::status absl::statusor absl::strings absl::str_format absl::time absl::span)
  add_library(hub_pch OBJECT ${CMAKE_BINARY_DIR}/pch.cc)
  target_precompile_headers(hub_pch PRIVATE ${HUB_PCH_HEADERS})
  target_link_libraries(hub_pch PRIVATE hub_flags ${absl})
  if(NOT HUB_CORE_ONLY)
    add_library(hub_pch_service OBJECT ${CMAKE_BINARY_DIR}/pch.cc)
    target_precompile_headers(hub_pch_service PRIVATE ${HUB_PCH_HEADERS} ${HUB_PCH_GRPC})
    target_link_libraries(hub_pch_service PRIVATE hub_flags hub_proto_grpc gRPC::grpc++)
    add_library(hub_pch_command OBJECT ${CMAKE_BINARY_DIR}/pch.cc)
    target_precompile_headers(hub_pch_command PRIVATE ${HUB_PCH_HEADERS} ${HUB_PCH_GRPC} <CLI/CLI.hpp>)
    target_link_libraries(hub_pch_command PRIVATE hub_flags hub_proto_grpc gRPC::grpc++ CLI11::CLI11)
  endif()
  if(HUB_TESTS)
    hub_make_test_pch(hub_pch_test "" ${absl})
    if(NOT HUB_CORE_ONLY)
      hub_make_test_pch(hub_pch_service_test "${HUB_PCH_GRPC}" hub_proto_grpc gRPC::grpc++)
    endif()
  endif()
endfunction()
function(hub_make_test_pch name headers)
  add_executable(${name} ${CMAKE_BINARY_DIR}/pch.cc) # as tests are: position-independent executables
  target_precompile_headers(${name} PRIVATE ${HUB_PCH_HEADERS} ${headers} ${PROJECT_SOURCE_DIR}/tests/catch.h)
  target_link_libraries(${name} PRIVATE hub_flags ${ARGN} Catch2::Catch2)
  hub_test_flags(${name})
endfunction()
# The precompiled header of `kind` ("" or "_test") for what links `libs`.
function(hub_pch_for libs kind result)
  if("${libs}" MATCHES "grpc")
    set(${result} hub_pch_service${kind} PARENT_SCOPE)
  else()
    set(${result} hub_pch${kind} PARENT_SCOPE)
  endif()
endfunction()
function(hub_precompiled target pch)
  if(HUB_PCH)
    target_precompile_headers(${target} REUSE_FROM ${pch})
  endif()
endfunction()
# Over the build type's -O2: Catch's expressions and CLI11's inline classes take up to twice as long to compile with it, for nothing.
set(HUB_LIGHTLY $<$<CONFIG:RelWithDebInfo>:-O1>)
function(hub_test_flags target)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(${target} PRIVATE ${HUB_LIGHTLY})
  if(Catch2_VERSION VERSION_LESS 3)
    target_compile_definitions(${target} PRIVATE HUB_CATCH2_V2)
  endif()
endfunction()

# hub_library(NAME [THIRD_PARTY targets...] [EXCLUDE sources...] [TEST_LIBS targets...] [THREADED sources...])
# All *.cc of the folder but tests; links what layers.txt allows; third-party stays private to the library.
# *_test.cc become one Catch2 binary hub_NAME_test, label unit. What has no thread, ThreadSanitizer needs not look at: it gets those of
# THREADED, of them the cases with the tag [threads], or all.
function(hub_library name)
  cmake_parse_arguments(arg "" "" "THIRD_PARTY;EXCLUDE;TEST_LIBS;THREADED" ${ARGN})
  if(NOT DEFINED HUB_LAYER_${name})
    message(FATAL_ERROR "${name} is not in libs/layers.txt")
  endif()
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(arg_EXCLUDE)
    list(REMOVE_ITEM sources ${arg_EXCLUDE})
    list(REMOVE_ITEM tests ${arg_EXCLUDE})
  endif()
  # The check: no include of a library that the table does not grant.
  set(allowed ${name} ${HUB_USES_${name}})
  foreach(base IN LISTS HUB_BASEMENT)
    if(HUB_LAYER_${base} LESS HUB_LAYER_${name})
      list(APPEND allowed ${base})
    endif()
  endforeach()
  file(GLOB checked CONFIGURE_DEPENDS *.cc *.h)
  foreach(file IN LISTS checked)
    file(STRINGS ${file} includes REGEX "^#include \"libs/")
    foreach(include IN LISTS includes)
      string(REGEX REPLACE "^#include \"libs/([a-z]+)/.*" "\\1" used "${include}")
      if(NOT used IN_LIST allowed)
        message(FATAL_ERROR "${file}: library ${name} may not use libs/${used} (libs/layers.txt)")
      endif()
    endforeach()
  endforeach()

  list(REMOVE_ITEM allowed ${name})
  list(TRANSFORM allowed PREPEND hub_)
  if(NOT sources)  # headers only
    add_library(hub_${name} INTERFACE)
    target_link_libraries(hub_${name} INTERFACE ${allowed})
    return()
  endif()
  add_library(hub_${name} STATIC ${sources})
  set_target_properties(hub_${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(hub_${name} PUBLIC ${allowed} absl::status absl::statusor absl::strings absl::time absl::span
    PRIVATE hub_flags ${arg_THIRD_PARTY})
  hub_pch_for("${arg_THIRD_PARTY}" "" pch)
  hub_precompiled(hub_${name} ${pch})
  if(HUB_SANITIZE MATCHES thread)
    if(name MATCHES "^(model|wire|registry)$")
      set(tests "")
      set_target_properties(hub_${name} PROPERTIES EXCLUDE_FROM_ALL ON) # unless something tested needs it
    elseif(arg_THREADED)
      set(tests ${arg_THREADED})
      set(cases SPEC "[threads]")
    endif()
  endif()
  if(HUB_TESTS AND tests)
    hub_test(hub_${name}_test LABEL unit ${cases} SOURCES ${tests} LIBS hub_${name} ${arg_THIRD_PARTY} ${arg_TEST_LIBS})
  endif()
endfunction()

# hub_test(TARGET LABEL label SOURCES ... LIBS ... [LOCK name] [TIMEOUT s] [SPEC cases]): a Catch2 binary; each case is a ctest entry.
function(hub_test target)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT;LOCK;SPEC" "SOURCES;LIBS;ENVIRONMENT" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_LIBS} hub_flags Catch2::Catch2WithMain)
  hub_test_flags(${target})
  hub_pch_for("${arg_LIBS}" _test pch)
  hub_precompiled(${target} ${pch})
  set(properties LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
  if(HUB_SANITIZE MATCHES thread)
    math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * 4")  # slower, and tests/run.sh gives them what processors others leave
    set(properties LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
    # Debian's RocksDB and its like are not instrumented: what they synchronise by themselves can't be judged.
    list(APPEND properties ENVIRONMENT "TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=1")
  elseif(HUB_SANITIZE MATCHES address)
    list(APPEND properties ENVIRONMENT "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp")
  endif()
  if(arg_LOCK)  # one at a time with others that need the same; a chain that begins early
    list(APPEND properties RESOURCE_LOCK ${arg_LOCK} COST 150)
  endif()
  if(arg_SPEC)
    list(APPEND discover TEST_SPEC "${arg_SPEC}")
  endif()
  catch_discover_tests(${target} ${discover} TEST_PREFIX "${target}: " PROPERTIES ${properties})
endfunction()
