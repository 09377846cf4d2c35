%% @doc Supervises the hosts: the operating-system processes in which Python runs.
-module(py_host_sup).
-behaviour(supervisor).

-export([start_link/2]).
-export([init/1]).

-spec start_link(string(), py_settings:settings()) -> supervisor:startlink_ret().
start_link(Path, Settings) ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, {Path, Settings}).

%% One for one: the hosts share nothing. What goes wrong with Python is dealt with inside {@link py_host}, with growing pauses; a
%% restart by this supervisor means a fault of ours.
-spec init({string(), py_settings:settings()}) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init({Path, #{hosts := Count} = Settings}) ->
    Hosts = [
        #{id => {py_host, N}, start => {py_host, start_link, [Path, Settings]}, modules => [py_host], shutdown => 5000}
     || N <- lists:seq(1, Count)
    ],
    {ok, {#{strategy => one_for_one, intensity => 5, period => 10}, Hosts}}.
