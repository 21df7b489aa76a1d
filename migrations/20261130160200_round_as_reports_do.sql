create function staging.toggl_rounded(seconds bigint, direction bigint, minutes bigint) returns bigint
language sql immutable parallel safe
return case
    when minutes between 1 and 525600 and direction between -1 and 1 then
        case direction
            when 1 then ceil(seconds / (minutes * 60.0))
            when 0 then round(seconds / (minutes * 60.0))
            else floor(seconds / (minutes * 60.0))
        end * minutes * 60
    else seconds
end::bigint;
comment on function staging.toggl_rounded(bigint, bigint, bigint) is
    'Seconds as Toggl''s reports round them: up (1), to the nearest (0; half a step goes up) or down (-1), to a multiple of so many minutes; as they are where the minutes are 0 or either setting is none that Toggl has. Round single entries, or the sum of a group, as the report does.';
