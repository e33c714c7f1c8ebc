/// Private to this folder: the private cluster's files and directories, with their owners.
#pragma once

#include "config/base/errors.hpp"
#include "persistence/subprocess.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace binnacle::persistence {

std::string last_error(); // errno in words
std::string random_hex(std::size_t bytes);

std::optional<std::string> read_file(const std::filesystem::path& file);
/// Replaces the file at once: after a crash it has its old or its new content.
result<done> write_file(const std::filesystem::path& file, const std::string& text, mode_t mode,
                        const std::optional<unix_user>& owner);

/// Makes every missing directory above `path`, open for others to pass through.
result<done> make_directories_above(const std::filesystem::path& path);
/// Makes the directory, or takes it as it is and sets its mode and owner.
result<done> make_directory(const std::filesystem::path& path, mode_t mode,
                            const std::optional<unix_user>& owner);
/// `wanted`, unless a Unix socket in it would have too long a name: then a directory under /tmp
/// that is named after it, made or found to be ours alone.
result<std::filesystem::path> socket_directory(const std::filesystem::path& wanted,
                                               const std::optional<unix_user>& owner);

} // namespace binnacle::persistence
