# Removes what install.ps1 made. Rooms and settings stay.
$ErrorActionPreference = 'Stop'
$to = Join-Path $env:LOCALAPPDATA 'Programs\Tocsin'
Remove-Item -Force -ErrorAction SilentlyContinue (Join-Path ([Environment]::GetFolderPath('Programs')) 'Tocsin.lnk')
Remove-Item -Recurse -Force -ErrorAction SilentlyContinue 'HKCU:\Software\Classes\tocsin'
Remove-ItemProperty -Path 'HKCU:\Software\Microsoft\Windows\CurrentVersion\Run' -Name 'Tocsin' -ErrorAction SilentlyContinue
foreach ($f in 'tocsin-desktop.exe', 'tocsin.exe', 'LICENSE.txt', 'README.txt', 'uninstall.ps1') {
    Remove-Item -Force -ErrorAction SilentlyContinue (Join-Path $to $f)
}
if ((Test-Path $to) -and -not (Get-ChildItem $to)) { Remove-Item -Force $to }
Write-Host "Tocsin is removed. What it kept is still in $(Join-Path $env:APPDATA 'tocsin'); remove that folder too if nobody needs it any more."
