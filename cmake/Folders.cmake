# One library target per source folder. A target sees only the headers of the folders it links:
# its public include directory holds a single link to its own folder, so an include that the
# architecture forbids does not compile (docs/decisions/001-folders-are-targets.md).
#
#   hyperdrive_folder(proxy/net LINK core/base EXTERNAL PkgConfig::uring)
#
# names the target `proxy_net`, globs proxy/net/*.cpp, and links the folders and packages given.
# Folders named after RECURSE (a word of its own) take the sources of their sub-folders too.
function(hyperdrive_folder folder)
  cmake_parse_arguments(ARG "RECURSE" "" "LINK;EXTERNAL" ${ARGN})
  string(REPLACE "/" "_" target ${folder})
  if(ARG_RECURSE)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
  else()
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.cpp)
  endif()
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")

  get_filename_component(parent ${folder} DIRECTORY)
  set(view ${PROJECT_BINARY_DIR}/include/${target})
  file(MAKE_DIRECTORY ${view}/${parent})
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${view}/${folder} SYMBOLIC)

  set(links ${ARG_EXTERNAL})
  foreach(other ${ARG_LINK})
    string(REPLACE "/" "_" name ${other})
    list(APPEND links ${name})
  endforeach()

  if(sources)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PUBLIC ${view})
    target_link_libraries(${target} PUBLIC ${links} PRIVATE hyperdrive_flags)
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${view})
    target_link_libraries(${target} INTERFACE ${links})
  endif()
endfunction()

# Unit tests of one folder: tests/unit/<target>/*.cpp become the program unit_<target>, one ctest entry.
function(hyperdrive_unit_test folder)
  cmake_parse_arguments(ARG "" "" "EXTERNAL" ${ARGN})
  string(REPLACE "/" "_" target ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/${target}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(unit_${target} ${sources})
  target_link_libraries(unit_${target} PRIVATE ${target} ${ARG_EXTERNAL} unit_main hyperdrive_flags)
  set_target_properties(unit_${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME unit_${target} COMMAND unit_${target})
  set_tests_properties(unit_${target} PROPERTIES LABELS unit TIMEOUT 300)
endfunction()
