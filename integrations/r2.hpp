/// Cloudflare R2, over the S3 API (developers.cloudflare.com/r2/api/s3/api): region "auto", service
/// "s3", path-style addresses. libcurl signs the calls (AWS Signature Version 4); the version we
/// have signs paths and queries as they stand, so keys are of unreserved characters and "/" only
/// (is_object_key), which need no encoding, and there are no queries.
#pragma once

#include "config/settings.hpp"
#include "integrations/http_client.hpp"
#include "integrations/object_store.hpp"

#include <optional>
#include <string>

namespace binnacle::integrations::r2 {

struct account {
  std::string endpoint{}; // scheme://host[:port], without a slash at the end
  std::string access_key_id{};
  secret secret_access_key{};
};
account account_of(const r2_settings&);

// The callers have made sure that the key is one.
http_call put_object(const account&, const object_name&, std::string_view bytes,
                     const std::string& content_type);
http_call head_object(const account&, const object_name&);
http_call get_object(const account&, const object_name&);
/// [begin, begin + size) of the object, as long as it is the one of that ETag.
http_call get_part(const account&, const object_name&, const std::string& etag, std::uint64_t begin,
                   std::uint64_t size);
http_call delete_object(const account&, const object_name&);

/// Of the body; nothing when the head does not say.
std::optional<std::uint64_t> length_of(const http_answer&);
/// What the head of the answer to head_object or get_object tells; nothing when there is none.
/// upstream_failed for all other refusals, with R2's code in the detail.
result<std::optional<object_facts>> read_facts(const result<http_answer>&);
/// Of get_part: false when it is not there any more, or another one is.
result<bool> read_part(const result<http_answer>&, std::uint64_t begin, std::uint64_t size);
/// Of put_object and delete_object.
result<done> read_done(const result<http_answer>&);

} // namespace binnacle::integrations::r2
