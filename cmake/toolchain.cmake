set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms about std::string when it optimises (gcc bugs 105329, 105651); mended in 13.
  add_compile_options(-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_options(-Og -g1) # line numbers in traces at a third of the link time of -g
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # ccache takes nothing that uses a precompiled header unless told so.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  add_compile_options(-fpch-preprocess)
endif()

find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

set(BINNACLE_SANITIZE "" CACHE STRING "comma-separated sanitizers, e.g. address,undefined")
if(BINNACLE_SANITIZE)
  # CAF 0.17.6 binds a reference to null in its type registration (init_fun_factory.hpp:85);
  # the distribution's libcaf_core is not instrumented, so that one check is switched off.
  add_compile_options(-fsanitize=${BINNACLE_SANITIZE} -fno-sanitize=null,vptr
                      -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${BINNACLE_SANITIZE})
endif()
