# Debian 12 packages; scripts/packages knows their names. Debian 13's versions compile as well.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(spdlog REQUIRED)
find_package(prometheus-cpp REQUIRED CONFIG)
find_package(tomlplusplus REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PQXX REQUIRED IMPORTED_TARGET libpqxx)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
pkg_check_modules(CJOSE REQUIRED IMPORTED_TARGET cjose)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)

# CLI11 is header-only; the distribution ships a .pc file but no CMake package.
pkg_check_modules(CLI11 REQUIRED IMPORTED_TARGET GLOBAL CLI11)
add_library(CLI11::CLI11 ALIAS PkgConfig::CLI11)

# Debian's libcaf-dev has neither a CMake package nor a .pc file.
find_path(CAF_INCLUDE_DIR caf/all.hpp REQUIRED)
find_library(CAF_CORE_LIBRARY caf_core REQUIRED)
add_library(caf_core INTERFACE IMPORTED)
target_include_directories(caf_core SYSTEM INTERFACE ${CAF_INCLUDE_DIR})
target_link_libraries(caf_core INTERFACE ${CAF_CORE_LIBRARY} Threads::Threads)
# Turns a message type that was not registered into a compile error.
target_compile_definitions(caf_core INTERFACE CAF_ENABLE_TYPE_ID_CHECKS)

# yaml-cpp 0.7 exports a plain target, 0.8 a namespaced one.
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()

find_library(CRYPT_LIBRARY crypt REQUIRED) # bcrypt, for imported password hashes
find_library(HARU_LIBRARY hpdf REQUIRED)   # has no .pc file either
