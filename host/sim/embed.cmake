# Puts contract.json into the simulator as a string, so that `kling sim` needs no file at run time.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/contract.json)
file(READ ${CMAKE_CURRENT_LIST_DIR}/contract.json contract)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/sim_contract.cpp @ONLY CONTENT
[=[namespace kling::sim {
extern const char kContractText[];
const char kContractText[] = R"contract(@contract@)contract";
}  // namespace kling::sim
]=])
target_sources(kling_sim PRIVATE ${PROJECT_BINARY_DIR}/generated/sim_contract.cpp)
